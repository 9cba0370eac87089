use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ED25519,
};

use super::*;

/// Made from a server's parameters that lack nothing, changed.
fn made(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    made_with(&KeyPair::generate().unwrap(), change)
}

fn made_with(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::new(vec!["radius.example.ac.jp".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 4, 1);
    params.not_after = rcgen::date_time_ymd(2028, 4, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let made = params.self_signed(key).unwrap();
    let [read] = Certificate::read_all(made.pem().as_bytes())
        .unwrap()
        .try_into()
        .unwrap();
    read
}

#[test]
fn a_certificate_is_read() {
    let read = made(|_| {});
    assert_eq!(read.role, Role::Server);
    assert_eq!(read.names, ["DNS:radius.example.ac.jp"]);
    assert_eq!(read.key, "P-256");
    assert_eq!(read.not_after.secs(), 1_838_160_000);
    assert_eq!(read.sha256.len(), 32 * 3 - 1);
    assert_eq!(read.lacks, []);
}

#[test]
fn what_a_server_lacks_is_found() {
    type Change = fn(&mut CertificateParams);
    let cases: [(Change, &[Lack]); 6] = [
        (|p| p.extended_key_usages.clear(), &[Lack::ServerAuth]),
        (|p| p.subject_alt_names.clear(), &[Lack::DnsName]),
        (
            |p| p.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
            &[Lack::DigitalSignature],
        ),
        (
            |p| p.not_after = rcgen::date_time_ymd(2028, 7, 5),
            &[Lack::ShortLife],
        ),
        (
            |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            &[Lack::OwnCertificate],
        ),
        (
            |p| {
                p.extended_key_usages.clear();
                p.subject_alt_names.clear();
            },
            &[Lack::ServerAuth, Lack::DnsName],
        ),
    ];
    for (change, lacks) in cases {
        let read = made(change);
        assert_eq!((read.role, &*read.lacks), (Role::Server, lacks));
    }
    let unusual = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    assert_eq!(made_with(&unusual, |_| {}).lacks, [Lack::KnownKey]);
}

#[test]
fn what_a_ca_lacks_is_found() {
    let ca = |p: &mut CertificateParams| {
        p.subject_alt_names.clear();
        p.extended_key_usages.clear();
        p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        p.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    };
    let sound = made(ca);
    assert_eq!((sound.role, sound.lacks), (Role::Ca, Vec::new()));
    let mute = made(|p| {
        ca(p);
        p.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    assert_eq!((mute.role, &*mute.lacks), (Role::Ca, &[Lack::CertSign][..]));
    let silent = made(|p| {
        ca(p);
        p.is_ca = IsCa::NoCa;
    });
    assert_eq!(
        (silent.role, &*silent.lacks),
        (Role::Ca, &[Lack::CaFlag][..])
    );
}

#[test]
fn days_are_whole_and_below_zero_once_it_has_ended() {
    let end = Timestamp::from_millis(100 * DAY);
    for (now, days) in [
        (70 * DAY, 30),
        (70 * DAY + 1, 29),
        (100 * DAY, 0),
        (100 * DAY + 1, -1),
    ] {
        assert_eq!(days_left(end, Timestamp::from_millis(now)), days);
    }
}

#[test]
fn what_is_no_certificate_is_told() {
    let says = |text: &str| {
        Certificate::read_all(text.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(says("").contains("no certificate in it"));
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(says(junk).contains("cannot be read"));
    let cut = "-----BEGIN CERTIFICATE-----\nAAAA\n";
    assert!(says(cut).contains("no PEM file"));
    let one = made_pem();
    assert!(says(&one.repeat(MOST + 1)).contains("more than 64"));
}

#[test]
fn a_signer_that_is_no_ca_is_found() {
    let signer = |is_ca: IsCa| {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        rcgen::CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    for (is_ca, unfit) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), false),
        (IsCa::NoCa, true),
    ] {
        let signer = signer(is_ca);
        let key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        own.distinguished_name = rcgen::DistinguishedName::new();
        let own = own.signed_by(&key, &signer).unwrap();
        let read = Certificate::read_all((own.pem() + &signer.pem()).as_bytes()).unwrap();
        assert_eq!(read[0].lacks.contains(&Lack::IssuerCaFlag), unfit);
    }
}

fn made_pem() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.self_signed(&key).unwrap().pem()
}
