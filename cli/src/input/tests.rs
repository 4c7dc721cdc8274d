use super::*;

fn rules(format: InputFormat) -> InputRules {
    InputRules {
        format,
        keys_in_lines: false,
        fields: Fields::default(),
        timestamps: TimestampFormat::Auto,
        numbered: false,
        csv: CsvRules::default(),
        max_future_skew_millis: Some(10),
    }
}

fn read(rules: &InputRules, input: &[u8]) -> Vec<Result<InputItem, Rejected>> {
    InputReader::new(input, rules.clone(), || 1_000).collect()
}

fn message(item: &Result<InputItem, Rejected>) -> String {
    item.as_ref().expect_err("bad").error.as_ref().expect("a reason").to_string()
}

#[test]
fn lines_are_values_without_their_ends() {
    let check = |input: &[u8], expected: &[&[u8]]| {
        let items: Vec<_> = read(&rules(InputFormat::Lines), input)
            .into_iter()
            .map(|item| item.expect("good").insertion.value)
            .collect();
        assert_eq!(items, expected, "{input:?}");
    };
    check(b"", &[]);
    check(b"\n", &[b""]);
    check(b"a\nb", &[b"a", b"b"]);
    check(b"a\r\n\r\n\xff\rb\n", &[b"a", b"", b"\xff\rb"]);
}

#[test]
fn a_line_may_hold_the_largest_value_and_no_more() {
    for (length, end, good) in [
        (MAX_VALUE_BYTES, "\n", true),
        (MAX_VALUE_BYTES, "", true),
        (MAX_VALUE_BYTES + 1, "\n", false),
        (MAX_VALUE_BYTES + 2, "", false),
        (MAX_VALUE_BYTES + 9, "", false),
    ] {
        let mut input = vec![b'x'; length];
        input.extend_from_slice(end.as_bytes());
        let items = read(&rules(InputFormat::Lines), &input);
        assert_eq!(items[0].is_ok(), good, "{length}");
        let raw = items.iter().filter_map(|item| item.as_ref().err());
        let raw: usize = raw.map(|rejected| rejected.raw.len()).sum();
        assert_eq!(raw, if good { 0 } else { input.len() }, "{length}");
    }
}

#[test]
fn errors_name_their_line_and_the_next_one_follows() {
    let rules = rules(InputFormat::Ndjson);
    let check = |bad: &str, expected: &str| {
        let input = format!("{{\"value\":\"a\"}}\n\n{bad}\n{{\"value\":\"b\"}}\n");
        let items = read(&rules, input.as_bytes());
        assert_eq!(items.len(), 3, "{bad}");
        assert_eq!(items[2].as_ref().expect("good").insertion.value, "b");
        assert_eq!(items[1].as_ref().expect_err("bad").raw, format!("{bad}\n").as_bytes());
        let message = message(&items[1]);
        assert!(message.starts_with("line 3: ") && message.contains(expected), "{message}");
    };
    check("{", "no object");
    check("[]", "no object");
    check("{}", "neither");
    check(r#"{"value":"a","value_base64":"YQ=="}"#, "both");
    check(r#"{"value_base64":"?"}"#, "not base64");
    check(r#"{"value":1}"#, "no object");
    check(r#"{"value":"a","tiemstamp":1}"#, "tiemstamp");
    check(r#"{"value":"a","key":"k"}"#, "key `k`");
    check(r#"{"value":"a","nonce":-1}"#, "nonce -1");
    check(r#"{"value":"a","nonce":1e3}"#, "nonce 1e3");
    check(r#"{"value":"a","nonce":"+1"}"#, "nonce");
    check(r#"{"value":"a","nonce":"340282366920938463463374607431768211455"}"#, "2^128-2");
    check(r#"{"value":"a","timestamp":"yesterday"}"#, "yesterday");
    check(r#"{"value":"a","timestamp":1011}"#, "ahead");
    check("{\"value\":\"\u{0}\"}", "no object");
}

#[test]
fn keys_stand_in_all_lines_or_in_none() {
    let rules = InputRules { keys_in_lines: true, ..rules(InputFormat::Ndjson) };
    let items = read(&rules, b"{\"key\":\"k\",\"value\":\"a\"}\n{\"value\":\"a\"}");
    assert_eq!(items[0].as_ref().expect("good").key.as_deref(), Some("k"));
    assert!(message(&items[1]).contains("no `key`"));
}

fn csv(fields: [Option<&str>; 4]) -> InputRules {
    let [key, nonce, timestamp, value] = fields.map(|field| field.map(str::to_owned));
    let fields = Fields { key, nonce, timestamp, value };
    InputRules { keys_in_lines: fields.key.is_some(), fields, ..rules(InputFormat::Csv) }
}

fn values(items: &[Result<InputItem, Rejected>]) -> Vec<String> {
    let value = |item: &InputItem| String::from_utf8(item.insertion.value.to_vec()).expect("text");
    items.iter().map(|item| value(item.as_ref().expect("good"))).collect()
}

#[test]
fn rows_are_objects_by_header() {
    let items = read(&csv([None; 4]), b"\xef\xbb\xbfa,\"b \"\"q\"\"\"\r\n1,\"x,\ny\"\r\n\r\n,\"\"\n");
    assert_eq!(values(&items), [r#"{"a":"1","b \"q\"":"x,\ny"}"#, r#"{"a":"","b \"q\"":""}"#]);
    let lines: Vec<u64> = items.iter().map(|item| item.as_ref().expect("good").line).collect();
    assert_eq!(lines, [2, 5]);
    assert!(read(&csv([None; 4]), b"a,b\n").is_empty());
    assert!(read(&csv([None; 4]), b"").is_empty());
}

#[test]
fn columns_hold_key_nonce_timestamp_and_value() {
    let rules = csv([Some("k"), Some("n"), Some("t"), Some("v")]);
    let items = read(&rules, b"v,t,n,k\n\"a\nb\",5,7,x\n,6,8,y");
    let item = |line, key: &str, insertion| InputItem { line, key: Some(key.to_owned()), insertion };
    let first = item(2, "x", Insertion::new("a\nb").with_nonce(7).with_timestamp(5));
    assert_eq!(items[0].as_ref().expect("good"), &first);
    let second = item(4, "y", Insertion::new("").with_nonce(8).with_timestamp(6));
    assert_eq!(items[1].as_ref().expect("good"), &second);
    let semicolons = CsvRules { delimiter: b';', header: false };
    let items = read(&InputRules { csv: semicolons, ..csv([None, None, None, Some("2")]) }, b"1,5;b\n2;c\n");
    assert_eq!(values(&items), ["b", "c"]);
}

#[test]
fn bad_rows_are_as_they_were_read() {
    let rules = csv([None, Some("n"), None, None]);
    let check = |bad: &[u8], expected: &str| {
        let items = read(&rules, &[b"a,n\n1,1\n", bad, b"\n2,2\n"].concat());
        assert_eq!(items.len(), 3, "{expected}");
        assert!(message(&items[1]).starts_with("line 3: ") && message(&items[1]).contains(expected), "{items:?}");
        assert_eq!(items[1].as_ref().expect_err("bad").raw, [bad, b"\n"].concat());
        assert_eq!(items[2].as_ref().expect("good").insertion.nonce, Some(2));
    };
    check(b"1", "1 cells, the rows before have 2");
    check(b"1,2,3", "3 cells");
    check(b"1,", "no field `n`");
    check(b"1,x", "nonce x");
    check(b"\xff,1", "cell 1 is not UTF-8");
    check(b"1,\"2\"x", "cell 2 goes on behind a closing quote");
    let items = read(&rules, format!("a,n\n{}\n2,2\n", "1,".repeat(20_000)).as_bytes());
    assert!(message(&items[0]).contains("more than 16384 cells"));
    assert_eq!(items.last().expect("more").as_ref().expect("good").insertion.nonce, Some(2));
    for (header, expected) in [(&b"a,b\n"[..], "no column `n`; the columns are a, b"), (b"n,n\n", "`n` twice")] {
        let items = read(&rules, &[header, b"1,1\n"].concat());
        assert_eq!(items.len(), 1);
        assert!(message(&items[0]).contains(expected), "{items:?}");
    }
}

#[test]
fn a_quote_that_never_closes_is_bounded() {
    let mut input = b"a\n\"".to_vec();
    input.resize(csv::MAX_ROW as usize + 500, b'x');
    input.extend_from_slice(b"\nb\n");
    let items = read(&csv([None; 4]), &input);
    assert!(message(&items[0]).starts_with("line 2: is longer than"));
    let raw = items.iter().filter_map(|item| item.as_ref().err()).map(|rejected| rejected.raw.len());
    assert_eq!(raw.sum::<usize>() + b"a\nb\n".len(), input.len());
    assert_eq!(values(&items[items.len() - 1..]), [r#"{"a":"b"}"#]);
}

/// Or a file that was cut off, or one forgotten quote, would be one item, and its number taken.
#[test]
fn a_quote_that_never_closes_takes_nothing_in() {
    for rest in ["2,\"open\n3,4\n5,6\n", "2,\"\"\"open", "\"", "2,\"a\"\"\n"] {
        let items = read(&csv([None; 4]), format!("a,b\n1,\"\"\n{rest}").as_bytes());
        assert_eq!(items.len(), 2, "{rest}");
        assert!(message(&items[1]).starts_with("line 3: its cell "), "{items:?}");
        assert!(message(&items[1]).contains("opens a quote that nothing closes"), "{items:?}");
        assert_eq!(items[1].as_ref().expect_err("bad").raw, rest.as_bytes());
    }
    let quotes = b"a,b\n\"1 \"\"one\"\"\",x\"y\n";
    assert_eq!(values(&read(&csv([None; 4]), quotes)), [r#"{"a":"1 \"one\"","b":"x\"y"}"#]);
}

#[test]
fn lines_are_numbered_from_0() {
    let check = |rules: InputRules, input: &[u8], expected: &[Option<u128>]| {
        let items = read(&InputRules { numbered: true, ..rules }, input);
        let nonces = items.iter().map(|item| item.as_ref().ok().and_then(|item| item.insertion.nonce));
        assert_eq!(nonces.collect::<Vec<_>>(), expected);
    };
    check(rules(InputFormat::Lines), b"a\n\nb", &[Some(0), Some(1), Some(2)]);
    check(rules(InputFormat::Ndjson), b"\n{}\n{\"value\":\"\"}\n", &[None, Some(2)]);
    check(rules(InputFormat::Ndjson), b"{\"value\":\"\",\"nonce\":1}", &[None]);
    check(csv([None; 4]), b"a,b\n\n1,1\n1\n2,2\n", &[Some(0), None, Some(2)]);
}
