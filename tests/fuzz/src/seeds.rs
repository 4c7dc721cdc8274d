//! What a fuzzer begins with: well-formed inputs of each target.

use klstore_format::names::KeyspaceName;
use klstore_format::wire::block::Block;
use klstore_format::wire::commit::CommitHeader;
use klstore_format::wire::keyspace::KeyspaceObject;
use klstore_format::wire::segment::SegmentHeader;

use crate::list::LISTS;

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "block" => blocks(),
        "commit_header" => objects("/log/").map(|object| behind(0, object)).collect(),
        "index_page" => pages(),
        "keyspace_object" => {
            let keyspace = KeyspaceName::new("flights").unwrap();
            let others = [
                r#"{"format_version":2}"#,
                r#"{"format_version":1,"layout":"map","keyspace":"flights","created_timestamp":0,"id":""}"#,
                r#"{"keyspace":"\u0066lights","more":[{"a":[1e9,null,true]}],"format_version":1}"#,
                "[[[[{}]]]]",
            ];
            let mut seeds = others.map(|text| text.as_bytes().to_vec()).to_vec();
            seeds.push(KeyspaceObject::encode(&keyspace, -1, 7).to_vec());
            seeds
        }
        "name" => names(),
        "token" => tokens(),
        "whole_read" => noise(300, 150),
        "configuration" => configurations(),
        "list_answer" => list_answers(),
        "kafka_record" => noise(200, 200),
        "wasm_operation" => noise(300, 300),
        _ => Vec::new(),
    }
}

fn objects(part: &'static str) -> impl Iterator<Item = &'static [u8]> {
    LISTS.objects.iter().filter(move |(name, _)| name.contains(part)).map(|(_, body)| &body[..])
}

fn behind(first: u8, rest: &[u8]) -> Vec<u8> {
    [&[first], rest].concat()
}

fn blocks() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (name, body) in &LISTS.objects {
        let list = if name.contains("trimmed") { &LISTS.trimmed } else { &LISTS.golden };
        let (blocks, owner) =
            match (CommitHeader::decode(body, &list.hash()), SegmentHeader::decode(body, &list.hash())) {
                (Ok(commit), _) => {
                    ([commit.own_blocks.clone(), commit.carried_blocks.clone()].concat(), commit.owner())
                }
                (_, Ok(segment)) => (segment.blocks.clone(), segment.owner()),
                _ => continue,
            };
        for block in blocks {
            let frame = body.slice(block.position as usize..block.end_position() as usize);
            assert!(matches!(Block::decode_first(&frame, owner), Ok(Some(_))));
            seeds.push(behind(1, &frame));
        }
    }
    seeds
}

fn pages() -> Vec<Vec<u8>> {
    // Pages of any list pass for the golden list's: their ids are what makes most of them refused.
    let kinds = [("/idx/", 3u8, 0u8), ("/idx/", 4, 1), ("/idx/", 5, 2), ("/seg/", 2, 3)];
    let of_kind = |(part, kind, how)| {
        objects(part).filter(move |body| body.get(5) == Some(&kind)).map(move |body| behind(how, body))
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

fn names() -> Vec<Vec<u8>> {
    let commit = LISTS.golden.commit(3);
    let lists = ["prod/eu\nflights\nN14228/é\n", "\nroom\n..\n", "a/b/\nflüge 2013\n~2F%20+\n"];
    let mut seeds: Vec<Vec<u8>> = lists.map(|list| format!("{list}{commit}").into_bytes()).to_vec();
    seeds.push(b"\nf\nk\n0000000000000003fe000000000000000000000000000001".to_vec());
    seeds.push(b"\nf\nk\nfffffffffffffffc".to_vec());
    seeds
}

fn tokens() -> Vec<Vec<u8>> {
    let texts = include_str!("../../../format/tests/golden/v1/tokens.txt");
    let mut seeds: Vec<Vec<u8>> = texts.lines().map(|text| behind(0, text.as_bytes())).collect();
    seeds.extend(texts.lines().map(|text| {
        use base64ct::{Base64UrlUnpadded, Encoding};
        let bytes = Base64UrlUnpadded::decode_vec(text).expect("a golden token is Base64");
        behind(1, &bytes[..bytes.len() - 4])
    }));
    seeds.extend(noise(20, 90).into_iter().map(|noise| behind(2, &noise)));
    seeds
}

fn configurations() -> Vec<Vec<u8>> {
    let ini = "[s3]\nbucket_name=\"my-bucket\"   # quoted or bare\nregion=${REGION}\nsecret_key=a;b\n\
        retention_max_items=none\ncodec=lz4\nca_bundle=\"a \\\"b\\\\ c\",\n[batcher]\nmax_puts_in_flight=7 ; seven\n";
    let kafka = "[kafka]\ntopic=\"inbound\"\ngroup.id=\"g\"\nbootstrap.servers=\"127.0.0.1:9092\"\n[parser]\n\
        nonce_parser=\"RecordHeaderUtf8(n)\"\nkeyspace_parser=\"Static(k)\"\nkey_parser=\"RecordJson(/a/0)\"\n\
        timestamp_parser=RecordTimestamp\ndead_letters=\"keyspace:dlq\"\non_poison=\"dead_letter\"\n[bridge]\nlog_format=json\n";
    let toml = "[s3]\nbucket_name = 'my-bucket'\ncarry_bytes = 1_000\npath_style = true\n\
        [batcher]\nbatch_flush_interval_millis = 0x10\n[kafka]\n\"group.id\" = \"\"\"g\"\"\"\n";
    vec![behind(b'i', ini.as_bytes()), behind(b'i', format!("{ini}{kafka}").as_bytes()), behind(b't', toml.as_bytes())]
}

fn list_answers() -> Vec<Vec<u8>> {
    let answer = "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>1/a+b=</NextContinuationToken>\
        <Contents><Key>flights/lists/a%2Bb/log/fffffffffffffffe</Key><ETag>&quot;d41d&quot;</ETag><Size>7</Size></Contents>\
        <CommonPrefixes><Prefix>flights/lists/a~20b/</Prefix></CommonPrefixes>\
        <CommonPrefixes><Prefix><![CDATA[flights/lists/b&#x41;/]]></Prefix></CommonPrefixes></ListBucketResult>";
    let error = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m &amp; m</Message><Region>eu-west-1</Region></Error>";
    let mut seeds = vec![behind(0, answer.as_bytes()), behind(0, answer.replace("true", "false").as_bytes())];
    seeds.extend([1, 2, 3, 4].map(|status| behind(status, error.as_bytes())));
    seeds.extend(noise(40, 120).into_iter().map(|noise| behind(255, &noise)));
    seeds
}

/// Inputs of these lengths up to `longest` that mean nothing, always the same.
fn noise(count: usize, longest: usize) -> Vec<Vec<u8>> {
    let mut state = 1u64;
    let mut byte = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Small numbers more often than others: they choose.
        let byte = (state >> 56) as u8;
        if state >> 40 & 1 == 0 { byte % 16 } else { byte }
    };
    (1..=count).map(|number| (0..number * longest / count).map(|_| byte()).collect()).collect()
}
