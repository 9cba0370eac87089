//! The sample directory's entries.

use crate::secret::Secret;

/// Everything lies under this DN.
pub(super) const BASE: &str = "dc=sakura-u,dc=example";
/// The account that searches, and its password. Both are as public as this file: the directory listens on loopback and holds
/// nobody real.
pub(super) const SERVICE: (&str, &str) = (
    "cn=sekisho,ou=services,dc=sakura-u,dc=example",
    "directory-demo",
);
/// When every entry was last changed: long ago, so that a telephone number counts as settled.
const CHANGED: &str = "20240401000000Z";

/// Somebody to log in as.
pub(super) struct Person {
    /// The name to log in with.
    pub(super) user: &'static str,
    /// The password.
    pub(super) password: &'static str,
    /// The name as people read it.
    name: &'static str,
    /// The telephone number, as directories have it.
    mobile: Option<&'static str>,
    id: &'static str,
    group: &'static str,
}

/// The people, by what they show.
pub(super) const TARO: Person = Person {
    user: "taro",
    password: "taro-no-himitsu",
    name: "山田 太郎",
    mobile: Some("+81 90 1111 2222"),
    id: "5f0c8a4e-0001-4c1d-9a70-3f6d1b2c0001",
    group: "staff",
};
pub(super) const HANAKO: Person = Person {
    user: "hanako",
    password: "hanako-no-himitsu",
    name: "佐藤 花子",
    mobile: Some("０９０－１２３４－５６７８"),
    id: "5f0c8a4e-0002-4c1d-9a70-3f6d1b2c0002",
    group: "students",
};
pub(super) const JIRO: Person = Person {
    user: "jiro",
    password: "jiro-no-himitsu",
    name: "鈴木 次郎",
    mobile: None,
    id: "5f0c8a4e-0003-4c1d-9a70-3f6d1b2c0003",
    group: "students",
};
pub(super) const SAKURA: Person = Person {
    user: "桜子",
    password: "桜子の秘密",
    name: "桜井 桜子",
    mobile: Some("080-8765-4321"),
    id: "5f0c8a4e-0004-4c1d-9a70-3f6d1b2c0004",
    group: "students",
};

const GROUPS: [(&str, &str, &str); 2] = [
    ("staff", "教職員", "5f0c8a4e-0101-4c1d-9a70-3f6d1b2c0101"),
    ("students", "学生", "5f0c8a4e-0102-4c1d-9a70-3f6d1b2c0102"),
];
const PEOPLE: [Person; 4] = [TARO, HANAKO, JIRO, SAKURA];

/// An entry of the directory.
pub(super) struct Entry {
    pub(super) dn: String,
    /// Attributes with their values; names compare without case.
    pub(super) attributes: Vec<(&'static str, Vec<String>)>,
    /// What a bind as this entry must show.
    pub(super) password: Option<Secret>,
}

impl Entry {
    fn new(dn: String, attributes: &[(&'static str, &str)], password: Option<&str>) -> Self {
        let mut entry = Self {
            dn,
            attributes: Vec::new(),
            password: password.map(Secret::from),
        };
        for (name, value) in attributes {
            entry.add(name, value);
        }
        entry
    }

    fn add(&mut self, name: &'static str, value: &str) {
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.to_owned()),
            None => self.attributes.push((name, vec![value.to_owned()])),
        }
    }

    /// The values of an attribute; none if the entry has no such.
    pub(super) fn values(&self, attribute: &str) -> Option<&[String]> {
        self.attributes
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(attribute))
            .map(|(_, values)| values.as_slice())
    }
}

fn person_dn(person: &Person) -> String {
    format!("uid={},ou=people,{BASE}", person.user)
}

fn group_dn(group: &str) -> String {
    format!("cn={group},ou=groups,{BASE}")
}

/// Every entry.
pub(super) fn entries() -> Vec<Entry> {
    let unit = |name: &str, description: &str| {
        Entry::new(
            format!("ou={name},{BASE}"),
            &[
                ("objectClass", "top"),
                ("objectClass", "organizationalUnit"),
                ("ou", name),
                ("description", description),
            ],
            None,
        )
    };
    let mut entries = vec![
        Entry::new(
            BASE.to_owned(),
            &[
                ("objectClass", "top"),
                ("objectClass", "domain"),
                ("dc", "sakura-u"),
                ("description", "桜大学"),
            ],
            None,
        ),
        unit("people", "人"),
        unit("groups", "グループ"),
        unit("services", "サービス"),
        Entry::new(
            SERVICE.0.to_owned(),
            &[
                ("objectClass", "top"),
                ("objectClass", "applicationProcess"),
                ("cn", "sekisho"),
            ],
            Some(SERVICE.1),
        ),
    ];
    entries.extend(PEOPLE.iter().map(person));
    entries.extend(
        GROUPS
            .iter()
            .map(|(name, description, id)| group(name, description, id)),
    );
    for entry in &mut entries {
        entry.add("modifyTimestamp", CHANGED);
    }
    entries
}

fn person(person: &Person) -> Entry {
    let mut entry = Entry::new(
        person_dn(person),
        &[
            ("objectClass", "top"),
            ("objectClass", "person"),
            ("objectClass", "inetOrgPerson"),
            ("uid", person.user),
            ("cn", person.name),
            ("sn", person.name.split(' ').next().unwrap_or_default()),
            ("preferredLanguage", "ja"),
            ("memberOf", &group_dn(person.group)),
            ("entryUUID", person.id),
            ("pwdChangedTime", CHANGED),
        ],
        Some(person.password),
    );
    if let Some(mobile) = person.mobile {
        entry.add("mobile", mobile);
    }
    entry
}

fn group(name: &str, description: &str, id: &str) -> Entry {
    let mut entry = Entry::new(
        group_dn(name),
        &[
            ("objectClass", "top"),
            ("objectClass", "groupOfNames"),
            ("cn", name),
            ("description", description),
            ("entryUUID", id),
        ],
        None,
    );
    for member in PEOPLE.iter().filter(|person| person.group == name) {
        entry.add("member", &person_dn(member));
    }
    entry
}
