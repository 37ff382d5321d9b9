use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Value, Problem> {
    parse(text.as_bytes(), Limits::SMALL)
}

fn canonical(text: &str) -> String {
    String::from_utf8(canonicalize(&read(text).unwrap()).unwrap()).unwrap()
}

#[track_caller]
fn refused(text: &str, code: Code) {
    assert_eq!(read(text).map_err(|problem| problem.code), Err(code), "{text}");
}

#[test]
fn every_kind_of_value_is_read() {
    let text =
        " {\"a\" : [ null , true , false , 1 , -2.5 , \"\\u00e9\\ud83d\\ude00\\n\\/\" ] ,\"b\":{},\"c\":[]}\r\n\t";
    assert_eq!(read(text).unwrap(), json!({"a": [null, true, false, 1, -2.5, "é😀\n/"], "b": {}, "c": []}));
    // Each plane of Unicode through its surrogates.
    for plane in 1_u32..=16 {
        let c = char::from_u32(plane * 0x1_0000 + 0x1234).unwrap();
        let mut units = [0; 2];
        c.encode_utf16(&mut units);
        assert_eq!(read(&format!("\"\\u{:04x}\\u{:04X}\"", units[0], units[1])).unwrap(), json!(c.to_string()));
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "[1,]",
        "[,]",
        "[1 2]",
        "{a:1}",
        "{'a':1}",
        "tru",
        "nul",
        "truee",
        "1 2",
        "{} {}",
        "+1",
        ".5",
        "1.",
        "-",
        "01",
        "-01",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\u{feff}{}",
        "/**/1",
        "[1]]",
        "\"\\",
        "\"\\u",
        "\"\u{0}\"",
    ] {
        refused(text, Code::InvalidJson);
    }
}

#[test]
fn row_32_duplicate_names() {
    refused(r#"{"a":1,"a":2}"#, Code::DuplicateKey);
    refused(r#"{"a":1,"b":{"x":1,"x":1}}"#, Code::DuplicateKey);
    // The same name, once escaped.
    refused(r#"{"a":1,"\u0061":2}"#, Code::DuplicateKey);
    assert!(read(r#"{"a":1,"b":{"a":2},"A":3}"#).is_ok());
}

#[test]
fn row_33_numbers_outside_of_i_json() {
    for text in ["9007199254740992", "-9007199254740992", "18446744073709551616", "1e400", "-1e400", &"9".repeat(400)] {
        refused(text, Code::NumberRange);
        refused(&format!("{{\"a\":[{text}]}}"), Code::NumberRange);
    }
    assert_eq!(canonical("9007199254740991"), "9007199254740991");
    assert_eq!(canonical("-9007199254740991"), "-9007199254740991");
    // One number, several spellings, one canonical form.
    for (text, expected) in [
        ("1.0", "1"),
        ("1e0", "1"),
        ("10e-1", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("-0e-5", "0"),
        ("1E30", "1e+30"),
        ("1e-400", "0"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("1e21", "1e+21"),
        ("100000000000000000000e0", "100000000000000000000"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
    }
    // The range also holds for a value that was not parsed here.
    for number in [json!(u64::MAX), json!(i64::MIN), json!(9_007_199_254_740_992_u64)] {
        assert_eq!(canonicalize(&number).unwrap_err().code, Code::NumberRange);
    }
    assert!(canonicalize(&json!(1e300)).is_ok());
}

#[test]
fn row_34_lone_surrogates() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#"{"\udfff":1}"#,
        r#""\udc00\ud800""#,
    ] {
        refused(text, Code::InvalidUnicode);
    }
    assert_eq!(read(r#""\ud800\udc00""#).unwrap(), json!("\u{10000}"));
    for bytes in [&b"\"\xff\""[..], b"\"\xed\xa0\x80\"", b"\"\xc0\x80\"", b"\"\xf4\x90\x80\x80\""] {
        assert_eq!(parse(bytes, Limits::SMALL).unwrap_err().code, Code::InvalidUnicode);
    }
}

#[test]
fn size_and_depth_are_limited() {
    let limits = Limits { max_bytes: 10, max_depth: 2 };
    assert!(parse(b"[[1],  {}]", limits).is_ok());
    assert_eq!(parse(b"[[1],   {}]", limits).unwrap_err().code, Code::TooLarge);
    assert_eq!(parse(b"[[[]]]", limits).unwrap_err().code, Code::TooDeep);
    assert_eq!(parse(b"{\"a\":[{}]}", Limits { max_bytes: 99, ..limits }).unwrap_err().code, Code::TooDeep);
    let limits = Limits { max_bytes: usize::MAX, max_depth: usize::MAX };
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(127).as_bytes(), limits).is_ok());
    for depth in [128, 1_000_000] {
        assert_eq!(parse(nested(depth).as_bytes(), limits).unwrap_err().code, Code::TooDeep);
    }
    // Written JSON can be read again, by other parsers too.
    assert!(serde_json::from_str::<Value>(&nested(127)).is_ok());
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(canonicalize(&deep).unwrap_err().code, Code::TooDeep);
}

/// Under `arbitrary_precision` such objects are how serde_json carries numbers from parser to visitor.
#[test]
fn an_object_does_not_pose_as_a_number() {
    for text in [
        r#"{"$serde_json::private::Number":"1"}"#,
        r#"{"$serde_json::private::Number":"1e999"}"#,
        r#"{"a":[{"$serde_json::private::Number":"7"}]}"#,
        r#"{"$serde_json::private::RawValue":"[7]"}"#,
    ] {
        let value = read(text).unwrap();
        assert!(value.is_object());
        assert_eq!(canonical(text), text);
        assert_eq!(canonicalize_object(value.as_object().unwrap()).unwrap(), text.as_bytes());
    }
}

/// The printed number is the nearest double, which `serde_json` itself does not always give.
#[test]
fn numbers_are_read_exactly() {
    for text in [
        "0.1",
        "333333333.3333333",
        "1.7976931348623157e+308",
        "5e-324",
        "2.2250738585072014e-308",
        "51.24817837550540400000001",
    ] {
        let number = read(text).unwrap().as_f64().unwrap();
        assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

/// Every byte at every place of a long string: the search by words agrees with the search by bytes.
#[test]
fn strings_end_where_they_end() {
    for before in 0..20 {
        for byte in 0..=255_u8 {
            let text: Vec<u8> = [&vec![b'a'; before][..], &[byte], b"\"bbbbbbbbbbbbbbbb"].concat();
            let expected = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            assert_eq!(plain_length(&text), expected);
            assert_eq!(plain_length(&[&vec![0xff; before][..], &[0x7f; 9]].concat()), None);
        }
    }
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn jcs_vectors() {
    let folder = std::path::Path::new(&std::env::var_os("CARNET_VECTORS").unwrap()).join("jcs/testdata");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("input")).unwrap() {
        let name = entry.unwrap().file_name();
        let value = parse(&std::fs::read(folder.join("input").join(&name)).unwrap(), Limits::DOCUMENT).unwrap();
        let canonical = canonicalize(&value).unwrap();
        let hex = std::fs::read_to_string(folder.join("outhex").join(&name).with_extension("txt")).unwrap();
        let digits: String = hex.split_whitespace().collect();
        let expected = base16ct::mixed::decode_vec(digits).unwrap();
        assert_eq!(canonical, expected, "{name:?}");
        assert_eq!(parse(&canonical, Limits::DOCUMENT).unwrap(), parse(&expected, Limits::DOCUMENT).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
#[cfg_attr(not(carnet_vectors), ignore = "CARNET_VECTORS is not set")]
fn jcs_numbers() {
    let path = std::path::Path::new(&std::env::var_os("CARNET_VECTORS").unwrap()).join("jcs/es6-numbers-10000.txt");
    let lines = std::fs::read_to_string(path).unwrap();
    let mut seen = 0;
    for line in lines.lines() {
        let (bits, expected) = line.split_once(',').unwrap();
        let number = f64::from_bits(u64::from_str_radix(bits.trim(), 16).unwrap());
        assert_eq!(canonicalize(&json!(number)).unwrap(), expected.as_bytes(), "{bits}");
        // And back, through the text. Integers that were written without an exponent have the range of I-JSON.
        match parse(expected.as_bytes(), Limits::SMALL) {
            Ok(read) => assert_eq!(canonicalize(&read).unwrap(), expected.as_bytes()),
            Err(problem) => {
                assert_eq!(problem.code, Code::NumberRange);
                assert!(number.abs() > 9e15 && !expected.contains(['.', 'e']));
            }
        }
        seen += 1;
    }
    assert_eq!(seen, 10_000);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |n| Number::from_f64(n).map(Value::Number)),
        any::<String>().prop_map(Value::from),
        "[\\u{0}-\\u{ff}\u{d7ff}\u{e000}\u{ffff}\u{10000}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_forms_agree_with_another_implementation(value in any_value()) {
        let ours = canonicalize(&value).unwrap();
        prop_assert_eq!(&ours, &serde_json_canonicalizer::to_vec(&value).unwrap());
        if let Value::Object(members) = &value {
            prop_assert_eq!(&ours, &canonicalize_object(members).unwrap());
        }
    }

    #[test]
    fn canonical_text_is_a_fixed_point(value in any_value()) {
        let canonical = canonicalize(&value).unwrap();
        match parse(&canonical, Limits::DOCUMENT) {
            Ok(again) => prop_assert_eq!(canonicalize(&again).unwrap(), canonical),
            // A float beyond 2^53 may be written as an integer.
            Err(problem) => prop_assert_eq!(problem.code, Code::NumberRange),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = parse(&bytes, Limits::SMALL);
        if serde_json::from_slice::<Value>(&bytes).is_err() {
            prop_assert!(ours.is_err());
        }
    }

    #[test]
    fn json_like_text_is_read_as_another_parser_reads_it(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+\\- ntr]{0,24}") {
        match (read(&text), serde_json::from_str::<Value>(&text)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(canonicalize(&ours).unwrap(), canonicalize(&theirs).unwrap()),
            (Ok(_), Err(_)) => prop_assert!(false, "only this parser takes it"),
            (Err(problem), Ok(_)) => prop_assert!(matches!(problem.code, Code::NumberRange | Code::DuplicateKey)),
            (Err(_), Err(_)) => {}
        }
    }
}
