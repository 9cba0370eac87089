//! The spool folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sekisho::channel::{Channels, Gateway, GatewayKind};
use tempfile::TempDir;

use super::{TEXT, deadline, message, settings};

fn spool(folder: &Path) -> Channels {
    let gateway = Gateway {
        name: "spool".into(),
        kind: GatewayKind::Spool(folder.to_owned()),
    };
    let mut settings = settings(vec![gateway.clone()]);
    settings.voice = vec![gateway];
    Channels::new(settings).unwrap()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_message_is_a_private_file() {
    let folder = TempDir::new().unwrap();
    let channels = spool(folder.path());
    let sent = channels.sms(&message(TEXT), deadline()).await.unwrap();
    assert_eq!(sent.id.as_deref(), Some("c0ffee-1.json"));
    let files = files(folder.path());
    assert_eq!(files, [folder.path().join("c0ffee-1.json")]);
    assert_eq!(
        files[0].metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let content: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(
        content,
        serde_json::json!({"kind": "sms", "to": "+819012345678", "text": TEXT, "lang": "ja", "id": "c0ffee-1"})
    );
}

#[tokio::test]
async fn a_folder_never_holds_more_than_its_bound() {
    let folder = TempDir::new().unwrap();
    for number in 0..1005 {
        std::fs::write(folder.path().join(format!("old-{number}.json")), "{}").unwrap();
    }
    std::fs::write(folder.path().join("readme.txt"), "kept").unwrap();
    let mut newest = message(TEXT);
    newest.idempotency = "zzz".to_owned();
    spool(folder.path())
        .voice(&newest, deadline())
        .await
        .unwrap();
    assert_eq!(files(folder.path()).len(), 1000 + 1);
    assert!(folder.path().join("zzz.json").exists());
    assert!(folder.path().join("readme.txt").exists());
}

#[tokio::test]
async fn a_folder_that_is_gone_fails_the_message() {
    let folder = TempDir::new().unwrap();
    let gone = folder.path().join("gone");
    let channels = spool(&gone);
    let error = channels.sms(&message(TEXT), deadline()).await.unwrap_err();
    assert!(
        error.to_string().contains("spool cannot be written to"),
        "{error}"
    );
    assert!(channels.probe().await[0].1.is_err());
}
