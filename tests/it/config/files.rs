//! Whole files: the shipped ones, the manual page's, and drop-ins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sekisho::config::{Fault, Settings, read};
use tempfile::TempDir;

use super::SOUND;

/// A folder with files that nobody else can read.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        path
    }

    /// A configuration whose files of /etc/sekisho are all there.
    fn read_whole(&self, text: &str) -> Result<Settings, Vec<Fault>> {
        let etc = self.0.path().to_str().unwrap();
        for part in text.split('"') {
            if let Some(name) = part.strip_prefix("/etc/sekisho/") {
                self.write(name, "a secret of more than twelve octets\n");
            }
        }
        let text = text.replace("/etc/sekisho/", &format!("{etc}/"));
        read(&self.write("sekisho.toml", &text))
    }
}

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn shipped_files_are_sound() {
    for file in [
        "config/sekisho.toml",
        "config/examples/openldap.toml",
        "config/examples/active-directory.toml",
    ] {
        let settings = Folder::new().read_whole(&shipped(file));
        let settings = settings.unwrap_or_else(|faults| panic!("{file}: {faults:#?}"));
        assert_eq!(settings.warnings, [], "{file}");
    }
}

#[test]
fn shipped_examples_are_sound_with_what_is_commented_out() {
    for file in [
        "config/examples/openldap.toml",
        "config/examples/active-directory.toml",
    ] {
        let text: Vec<String> = shipped(file)
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let settings = Folder::new().read_whole(&text.join("\n"));
        let settings = settings.unwrap_or_else(|faults| panic!("{file}: {faults:#?}"));
        assert_eq!(settings.channel.sms.len(), 1, "{file}");
    }
}

#[test]
fn complete_examples_of_the_page_are_sound() {
    let page = shipped("docs/man/sekisho.toml.5").replace("\\e", "\\");
    let examples: Vec<&str> = page
        .split(".Bd -literal\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n.Ed").next())
        .filter(|text| text.starts_with("# /etc/sekisho/sekisho.toml"))
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let settings = Folder::new().read_whole(example);
        let settings = settings.unwrap_or_else(|faults| panic!("{example}\n{faults:#?}"));
        assert_eq!(settings.warnings, []);
    }
}

#[test]
fn drop_ins_are_merged_by_name() {
    let folder = Folder::new();
    let file = folder.write(
        "sekisho.toml",
        &format!("{SOUND}[[rule]]\nclient = 'vpn'\nthen = 'deny'\n"),
    );
    folder.write("conf.d/20-last.toml", "[[rule]]\nthen = 'ask'\n");
    folder.write("conf.d/10-vpn.toml", "[client.vpn]\npatience = '20s'\n[client.more]\naddress = '192.0.2.20'\nsecret = 'long enough to be one'\n[[rule]]\nclient = 'more'\nthen = 'ask'\n");
    folder.write("conf.d/.hidden.toml", "no toml");
    folder.write("conf.d/30.toml~", "no toml");
    let settings = read(&file).unwrap();
    assert_eq!(settings.server.clients.len(), 2);
    assert_eq!(settings.server.clients[0].patience.as_secs(), 20);
    let clients: Vec<_> = settings
        .access
        .rules
        .iter()
        .map(|rule| rule.client.as_ref().map(|name| name.as_str()))
        .collect();
    assert_eq!(clients, [Some("vpn"), Some("more"), None]);
}

#[test]
fn a_key_in_two_files_is_a_fault_that_names_both() {
    let folder = Folder::new();
    let file = folder.write("sekisho.toml", SOUND);
    let other = folder.write("conf.d/a.toml", "[client.vpn]\n  address = '192.0.2.11'\n");
    let faults = read(&file).unwrap_err();
    let [fault] = faults.as_slice() else {
        panic!("{faults:#?}");
    };
    assert_eq!((&fault.file, fault.line, fault.column), (&other, 2, 3));
    assert_eq!(
        fault.what,
        format!("`address` is already given in {}, line 6.", file.display())
    );
}

#[test]
fn a_fault_in_a_drop_in_names_it() {
    let folder = Folder::new();
    let file = folder.write("sekisho.toml", SOUND);
    let other = folder.write("conf.d/a.toml", "# ここ\n[log]\nlevel = 'x'\n");
    let faults = read(&file).unwrap_err();
    assert_eq!(
        (&faults[0].file, faults[0].line, faults[0].column),
        (&other, 3, 9)
    );
}

#[test]
fn files_that_cannot_be_read_are_faults() {
    let folder = Folder::new();
    let missing = folder.0.path().join("sekisho.toml");
    assert!(read(&missing).unwrap_err()[0].what.contains("No such file"));
    fs::create_dir(&missing).unwrap();
    assert!(
        read(&missing).unwrap_err()[0]
            .what
            .contains("no ordinary file")
    );
    let folder = Folder::new();
    let file = folder.write("sekisho.toml", SOUND);
    fs::create_dir_all(folder.0.path().join("conf.d")).unwrap();
    fs::write(
        folder.0.path().join("conf.d/a.toml"),
        b"[log]\nlevel = '\xff'\n",
    )
    .unwrap();
    let faults = read(&file).unwrap_err();
    assert_eq!(
        (faults[0].line, faults[0].what.as_str()),
        (2, "The line is not UTF-8.")
    );
}
