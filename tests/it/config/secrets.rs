//! Secrets on the disk: whoever else may read them is told of, and they are taken as they are meant.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sekisho::config::{Fault, Settings, read};

use super::SOUND;

fn write(path: &Path, octets: &[u8], mode: u32) {
    fs::write(path, octets).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Reads a configuration whose client has its secret in a file.
fn with_secret_file(octets: &[u8], mode: u32) -> (PathBuf, Result<Settings, Vec<Fault>>) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("vpn.secret");
    write(&secret, octets, mode);
    let file = folder.path().join("sekisho.toml");
    let line = format!("secret-file = '{}'", secret.display());
    let text = SOUND.replace(r#"secret = "a secret of more than twelve octets""#, &line);
    write(&file, text.as_bytes(), 0o644);
    (secret, read(&file))
}

#[test]
fn a_secret_file_open_to_others_is_a_fault() {
    for mode in [0o644, 0o604, 0o602, 0o666] {
        let (secret, settings) = with_secret_file(b"a secret of more than twelve octets", mode);
        let faults = settings.unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert_eq!((faults[0].line, faults[0].column), (7, 15));
        assert!(
            faults[0].what.contains(&format!("mode {mode:04o}")),
            "{faults:#?}"
        );
        assert_eq!(
            faults[0].mend,
            format!("Run chmod o= {}.", secret.display())
        );
    }
    for mode in [0o600, 0o640, 0o440] {
        assert!(
            with_secret_file(b"a secret of more than twelve octets", mode)
                .1
                .is_ok()
        );
    }
}

#[test]
fn an_inline_secret_closes_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sekisho.toml");
    write(&file, SOUND.as_bytes(), 0o644);
    let faults = read(&file).unwrap_err();
    assert_eq!((faults.len(), faults[0].line), (1, 7), "{faults:#?}");
    write(&file, SOUND.as_bytes(), 0o640);
    assert!(read(&file).is_ok());
}

#[test]
fn line_ends_of_a_file_are_no_part_of_the_secret() {
    let (_, settings) = with_secret_file(b" a secret with spaces \r\n\n", 0o600);
    let settings = settings.unwrap();
    assert_eq!(
        settings.server.clients[0].secret.expose(),
        b" a secret with spaces "
    );
}

#[test]
fn secrets_that_are_none_are_faults() {
    for (octets, said) in [
        (b"\n".to_vec(), "is empty"),
        (vec![b'a'; 5000], "longer than 4096 octets"),
    ] {
        let (_, settings) = with_secret_file(&octets, 0o600);
        let faults = settings.unwrap_err();
        assert!(faults[0].what.contains(said), "{faults:#?}");
    }
}

#[test]
fn a_placeholder_in_a_file_is_warned_of() {
    let (_, settings) = with_secret_file(b"ChangeMe\n", 0o600);
    let warnings = settings.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(!format!("{warnings:?}").contains("ChangeMe"));
}

#[test]
fn a_secret_file_that_is_missing_or_no_file_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sekisho.toml");
    for (path, said) in [
        ("/nonexistent/secret", "No such file"),
        ("/dev/null", "no ordinary file"),
        ("/", "no ordinary file"),
    ] {
        let text = SOUND.replace(
            r#"secret = "a secret of more than twelve octets""#,
            &format!("secret-file = '{path}'"),
        );
        write(&file, text.as_bytes(), 0o640);
        let faults = read(&file).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].what.contains(said),
            "{faults:#?}"
        );
    }
}
