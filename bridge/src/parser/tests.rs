use super::*;
use crate::record::Header;

const HEADERS: &[Header<'static>] =
    &[("id", Some(b"41")), ("id", Some(b"42")), ("wide", Some(&[1; 17])), ("null", None)];

fn record() -> Record<'static> {
    Record {
        topic: "t",
        partition: 2,
        offset: 40,
        timestamp: Some(1_357_034_400_000),
        key: Some(&[0xff, 0xfe]),
        value: Some(br#"{"user":{"id":7,"name":"ann","big":"340282366920938463463374607431768211454"},"half":0.5}"#),
        headers: HEADERS,
        ..Record::default()
    }
}

fn check_nonce(parser: &str, expected: Result<Option<u128>, &str>) {
    let found = parser.parse::<NumberParser>().unwrap().nonce(&record());
    assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(String::from), "{parser}");
}

fn check_timestamp(parser: &str, expected: Result<Option<i64>, &str>) {
    let found = parser.parse::<NumberParser>().unwrap().timestamp(&record());
    assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(String::from), "{parser}");
}

#[test]
fn numbers() {
    check_nonce("None", Ok(None));
    check_nonce("RecordOffset", Ok(Some(40)));
    check_nonce("RecordPartition", Ok(Some(2)));
    check_nonce("RecordTimestamp", Ok(Some(1_357_034_400_000)));
    check_nonce("RecordHeaderUtf8(id)", Ok(Some(42)));
    check_nonce("RecordKeyBigEndian", Ok(Some(0xfffe)));
    check_nonce("RecordKeyLittleEndian", Ok(Some(0xfeff)));
    check_nonce("RecordHeaderUtf8(no)", Err("the record at topic t, partition 2, offset 40 has no header `no`"));
    check_nonce("RecordHeaderUtf8(null)", Err("the record at topic t, partition 2, offset 40 has no header `null`"));
    let wide =
        "the header `wide` of the record at topic t, partition 2, offset 40 is not a binary number of 1 to 16 bytes";
    check_nonce("RecordHeaderBigEndian(wide)", Err(wide));
    check_timestamp("RecordKeyBigEndian", Ok(Some(-2)));
    check_timestamp("RecordKeyLittleEndian", Ok(Some(-257)));
    check_timestamp("RecordHeaderUtf8(id)", Ok(Some(42)));
    check_timestamp("RecordTimestamp", Ok(Some(1_357_034_400_000)));
}

#[test]
fn numbers_in_json() {
    check_nonce("RecordJson(/user/id)", Ok(Some(7)));
    check_nonce("RecordJson(/user/big)", Ok(Some(u128::MAX - 1)));
    check_timestamp("RecordJson(/user/id)", Ok(Some(7)));
    let missing = "the record at topic t, partition 2, offset 40 has no `/user/no` in the JSON";
    check_nonce("RecordJson(/user/no)", Err(missing));
    let half = "the `/half` in the JSON of the record at topic t, partition 2, offset 40 is not a decimal number of 64 \
                bits";
    check_timestamp("RecordJson(/half)", Err(half));
    let tombstone = Record { topic: "t", ..Record::default() };
    let error = "RecordJson(/a)".parse::<NumberParser>().unwrap().nonce(&tombstone).unwrap_err().to_string();
    assert_eq!(error, "the value of the record at topic t, partition 0, offset 0 is not JSON");
}

#[test]
fn names() {
    let check = |parser: &str, expected: Result<&str, &str>| {
        let record = record();
        let parser = parser.parse::<NameParser>().unwrap();
        let found = parser.name(&record).map(Cow::into_owned).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(String::from).map_err(String::from), "{parser}");
    };
    check("Static(my_keyspace)", Ok("my_keyspace"));
    check("RecordPartition", Ok("2"));
    check("RecordTopic", Ok("t"));
    check("RecordHeader(id)", Ok("42"));
    check("RecordJson(/user/id)", Ok("7"));
    check("RecordJson(/user/name)", Ok("ann"));
    let object =
        "the `/user` in the JSON of the record at topic t, partition 2, offset 40 is not a string or a whole number";
    check("RecordJson(/user)", Err(object));
    check("RecordKey", Err("the key of the record at topic t, partition 2, offset 40 is not UTF-8"));
}

#[test]
fn name_parsers_are_shown_as_they_are_written() {
    for text in ["Static(a)", "RecordHeader(h)", "RecordKey", "RecordPartition", "RecordTopic", "RecordJson(/a/b)"] {
        assert_eq!(text.parse::<NameParser>().unwrap().to_string(), text);
    }
}

#[test]
fn unknown_parsers_are_named() {
    for text in
        ["", "Static", "Static()", "recordkey", "RecordKey()", "RecordHeader(", "RecordOffset(1)", "RecordJson(a)"]
    {
        assert!(text.parse::<NameParser>().is_err(), "{text}");
    }
    for text in ["", "none", "RecordKey", "RecordHeaderUtf8", "RecordHeaderUtf8()", "RecordKeyUtf8(x)", "RecordJson(a)"]
    {
        let error = text.parse::<NumberParser>().unwrap_err().to_string();
        assert!(error.contains("RecordHeaderLittleEndian(name)"), "{error}");
    }
}
