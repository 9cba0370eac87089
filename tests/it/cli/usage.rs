//! Arguments, exit codes and what needs no daemon.

use sekisho::cli::Exit;

use super::{binary, json, run, write};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["serve"],
    &["demo"],
    &["init"],
    &["import"],
    &["import", "duo"],
    &["import", "freeradius"],
    &["check"],
    &["try"],
    &["why"],
    &["explain"],
    &["user"],
    &["user", "show"],
    &["user", "enrol-totp"],
    &["user", "recovery-codes"],
    &["user", "unlock"],
    &["user", "reset"],
    &["user", "remove"],
    &["user", "list"],
    &["client"],
    &["client", "list"],
    &["status"],
    &["reload"],
    &["secret"],
    &["secret", "new"],
    &["cert"],
    &["cert", "ca"],
    &["cert", "server"],
    &["cert", "client"],
    &["cert", "show"],
    &["backup"],
    &["restore"],
    &["key"],
    &["key", "rotate"],
    &["completions"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let output = binary(&arguments);
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Usage: sekisho"), "{command:?}: {help}");
        assert!(help.contains("--json"), "{command:?}");
    }
}

#[test]
fn wrong_usage_exits_64() {
    for arguments in [
        &["fly"][..],
        &[],
        &["user"],
        &["user", "show"],
        &["user", "remove", "taro", "first"],
        &["user", "enrol-totp", "taro", "--digits", "9"],
        &[
            "user",
            "enrol-totp",
            "taro",
            "--unproven",
            "--code",
            "123456",
        ],
        &["secret", "new", "--length", "8"],
        &["try", "taro", "--radius", "127.0.0.1:1812"],
        &["try", "taro", "--as", "fortigat"],
        &["try", "taro", "--as", "meraki", "--patience", "9"],
        &["try", "taro", "--second", "127.0.0.1:1812"],
        &["try", "taro", "--count", "11"],
        &["explain", "--user", "taro"],
        &[
            "explain",
            "--user",
            "t",
            "--client",
            "c",
            "--station",
            "s",
            "--at",
            "noon",
        ],
        &["why", "-n", "0"],
        &["cert", "server", "--ca", "/a", "--out", "/b"],
        &[
            "cert",
            "server",
            "--ca",
            "/a",
            "--name",
            "a.example",
            "--out",
            "/b",
            "--days",
            "826",
        ],
        &["status", "--colour"],
    ] {
        assert_eq!(binary(arguments).status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = binary(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("sekisho {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn a_new_secret_is_another_each_time_and_as_long_as_asked() {
    let (exit, first) = run(&["secret", "new"]);
    let (_, second) = run(&["secret", "new"]);
    assert_eq!(exit, Exit::Done);
    assert_ne!(first, second);
    assert_eq!(first.trim().len(), 43, "32 octets in base64url");
    let (_, long) = run(&["--json", "secret", "new", "--length", "64"]);
    assert_eq!(json(&long)["secret"].as_str().unwrap().len(), 86);
}

#[test]
fn without_a_daemon_the_way_to_start_one_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    let output = binary(&["--socket", socket, "status"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("No daemon listens") && said.contains("sekisho serve"),
        "{said}"
    );
    let (exit, out) = run(&["--json", "--socket", socket, "status"]);
    assert_eq!(exit, Exit::Failed);
    assert!(json(&out)["error"].as_str().unwrap().contains(socket));
}

#[test]
fn a_faulty_file_exits_78_and_every_fault_has_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[radius]\nlisen = [\"[::]:1812\"]\n\n[client.vpn]\naddress = 7\n";
    let file = write(folder.path(), "sekisho.toml", text);
    let name = file.to_str().unwrap();
    for command in ["check", "serve"] {
        let (exit, out) = run(&[command, "--config", name]);
        assert_eq!(exit, Exit::Config, "{command}: {out}");
        assert!(out.contains(&format!("{name}:2:")), "{out}");
        assert!(out.contains(&format!("{name}:5:")), "{out}");
    }
    let (exit, out) = run(&["--json", "check", "--config", name]);
    assert_eq!(exit, Exit::Config);
    let faults = json(&out)["faults"].as_array().unwrap().clone();
    assert!(faults.len() >= 2);
    assert!(
        faults
            .iter()
            .all(|fault| fault["what"].is_string() && fault["mend"].is_string())
    );
}

#[test]
fn a_missing_file_is_a_fault_too() {
    let (exit, out) = run(&["check", "--config", "/nonexistent/sekisho.toml"]);
    assert_eq!(exit, Exit::Config);
    assert!(out.contains("/nonexistent/sekisho.toml"), "{out}");
}
