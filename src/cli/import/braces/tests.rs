//! Texts as administrators write them, and as nobody does.

use proptest::prelude::*;

use super::*;

fn read_text(text: &str) -> (Section, Vec<super::super::notes::Note>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    fs::write(&file, text).unwrap();
    let mut notes = Notes::default();
    let whole = read(&file, folder.path(), &mut notes);
    (whole, notes.sorted().0)
}

#[test]
fn keys_are_read_however_they_are_written() {
    let (whole, notes) = read_text(
        "prefix = /usr\nclient fw1 { # remark\n  ipaddr=192.0.2.1\n\tsecret := \"a \\\"b\\\" \\\\ \\101#1\"\n  shortname = 'it\\'s'\n  \
         path = ${prefix}/lib\n  gone = ${nothing}\n  limit { max = 16 }\n}\nclient 2001:db8::/32 {\n secret = bare#hash\n}\n",
    );
    assert_eq!(notes, []);
    let clients: Vec<_> = whole.sections("client").collect();
    assert_eq!(clients.len(), 2);
    let fw1 = clients[0];
    assert_eq!((fw1.name.as_str(), fw1.place.line), ("fw1", 2));
    assert_eq!(fw1.get("ipaddr"), Some("192.0.2.1"));
    assert_eq!(fw1.get("secret"), Some("a \"b\" \\ A#1"));
    assert_eq!(fw1.get("shortname"), Some("it's"));
    assert_eq!(fw1.get("path"), Some("/usr/lib"));
    assert_eq!(fw1.get("gone"), None);
    assert_eq!(fw1.sections("limit").next().unwrap().get("max"), Some("16"));
    assert_eq!(clients[1].name, "2001:db8::/32");
    assert_eq!(clients[1].get("secret"), Some("bare#hash"));
}

#[test]
fn policy_is_passed_over_without_losing_what_follows() {
    let (whole, notes) = read_text(
        "server default {\n authorize {\n  if (&User-Name =~ /^a{2}/) {\n   reject\n  }\n  update control { &Tmp := \"%{User-Name}\" }\n  -ldap\n }\n}\n\
         client x {\n secret = y\n}\n",
    );
    assert_eq!(notes, []);
    assert_eq!(
        whole.sections("client").next().unwrap().get("secret"),
        Some("y")
    );
    assert_eq!(whole.sections("server").count(), 1);
}

#[test]
fn what_is_not_closed_or_closes_nothing_is_said() {
    let (whole, notes) = read_text("}\nclient x {\n secret = y\n");
    assert_eq!(whole.sections("client").count(), 1);
    let lines: Vec<_> = notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [1, 2]);
}

#[test]
fn files_that_include_themselves_and_sections_without_end_are_bounded() {
    let (_, notes) = read_text("$INCLUDE a.conf\n$INCLUDE missing.conf\n$INCLUDE ${gone}\n");
    let said: Vec<_> = notes.iter().map(|note| note.what.as_str()).collect();
    assert!(said[0].contains("includes itself"), "{said:?}");
    assert!(said[1].contains("missing.conf cannot be read"), "{said:?}");
    assert!(said[2].contains("not known"), "{said:?}");
    let (_, notes) = read_text(&"a {\n".repeat(10_000));
    assert!(!notes.is_empty());
    let (_, notes) = read_text(&"a = b\n".repeat(ITEMS + 10));
    assert!(notes[0].what.contains("more than"));
}

#[test]
fn folders_are_included_by_name_without_hidden_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("clients");
    fs::create_dir(&inner).unwrap();
    for (name, text) in [
        ("b", "b = 1\n"),
        ("a", "a = 1\n"),
        (".c", "c = 1\n"),
        ("d~", "d = 1\n"),
    ] {
        fs::write(inner.join(name), text).unwrap();
    }
    let file = folder.path().join("radiusd.conf");
    fs::write(&file, "$INCLUDE ${confdir}/clients/\n").unwrap();
    let mut notes = Notes::default();
    let whole = read(&file, folder.path(), &mut notes);
    let keys: Vec<_> = whole.pairs().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["a", "b"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_is_read(text in "[ a-z{}=\"'\\\\$%#:;,\n]{0,400}") {
        let _read = read_text(&text);
    }

    #[test]
    fn a_quoted_value_is_what_was_quoted(value in "[^\"\\\\\n\r]{0,60}") {
        let line = format!("\"{value}\" rest");
        prop_assert_eq!(super::value(&line), (value, " rest"));
    }
}
