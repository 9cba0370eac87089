//! A browser as far as pages without scripts need one: cookies, forms, redirects.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What a page was answered with.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub head: Vec<(String, String)>,
    pub body: String,
}

impl Page {
    /// Reads an answer as it came.
    pub fn read(octets: &[u8]) -> Self {
        let text = String::from_utf8_lossy(octets);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        };
        let head: Vec<_> = lines.map(field).collect();
        let chunked = head
            .iter()
            .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        assert!(!chunked, "pages have a length");
        Self {
            status: status.parse().unwrap(),
            head,
            body: body.to_owned(),
        }
    }

    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter();
        fields.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&mark).unwrap_or_else(|| {
            panic!("no field {name} in {}", self.body);
        });
        rest.split('"').next().unwrap().to_owned()
    }

    /// The number that the page shows large.
    pub fn number(&self) -> String {
        let (_, rest) = self.body.split_once("class=\"number\"").expect(&self.body);
        let (_, rest) = rest.split_once('>').unwrap();
        rest.split('<').next().unwrap().trim().to_owned()
    }

    /// Its title.
    pub fn title(&self) -> &str {
        let (_, rest) = self.body.split_once("<title>").expect(&self.body);
        rest.split('<').next().unwrap()
    }
}

/// A browser.
#[derive(Clone)]
pub struct Visitor {
    pub to: SocketAddr,
    pub origin: String,
    pub cookies: BTreeMap<String, String>,
    pub fields: Vec<(String, String)>,
}

impl Visitor {
    /// One that has never been there.
    pub fn new(to: SocketAddr) -> Self {
        Self {
            to,
            origin: format!("http://localhost:{}", to.port()),
            cookies: BTreeMap::new(),
            fields: vec![("Accept-Language".into(), "en".into())],
        }
    }

    /// The same with another field in each head.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends octets and reads until the other end closes.
    pub fn raw(&self, octets: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.to).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        // It may close before it has read all.
        let _closed = stream.write_all(octets);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        answer
    }

    /// Sends a request as it is and keeps the cookies of its answer.
    pub fn send(&mut self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Page {
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        let own = self.fields.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(more.iter().copied()) {
            let _infallible = write!(head, "{name}: {value}\r\n");
        }
        if !self.cookies.is_empty() {
            let pairs = self.cookies.iter();
            let pairs: Vec<_> = pairs
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let _infallible = write!(head, "Cookie: {}\r\n", pairs.join("; "));
        }
        let _infallible = write!(head, "Content-Length: {}\r\n\r\n{body}", body.len());
        let page = Page::read(&self.raw(head.as_bytes()));
        for (_, cookie) in page.head.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, rest) = cookie.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match rest.contains("Max-Age=0;") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        page
    }

    /// Opens a page, and goes where it leads.
    pub fn get(&mut self, path: &str) -> Page {
        let page = self.send("GET", path, &[], "");
        self.follow(page)
    }

    /// Sends a form, and goes where it leads.
    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.post_only(path, fields);
        self.follow(page)
    }

    /// Sends a form.
    pub fn post_only(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let origin = self.origin.clone();
        let head = [
            ("Origin", origin.as_str()),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", path, &head, &encoded(fields))
    }

    fn follow(&mut self, page: Page) -> Page {
        match page.field("location") {
            Some(to) if page.status == 303 => {
                let to = to.to_owned();
                self.get(&to)
            }
            _ => page,
        }
    }

    /// Signs in up to the code.
    pub fn password(&mut self, user: &str, password: &str) -> Page {
        let next = self.get("/signin").hidden("next");
        let fields = [("user", user), ("password", password), ("next", &next)];
        self.post("/signin", &fields)
    }

    /// Types a code.
    pub fn code(&mut self, code: &str) -> Page {
        self.post("/signin/code", &[("code", code)])
    }

    /// Presses a button of a page that has only the token of the session.
    pub fn press(&mut self, from: &str, to: &str, more: &[(&str, &str)]) -> Page {
        let csrf = self.get(from).hidden("csrf");
        let mut fields = vec![("csrf", csrf.as_str())];
        fields.extend(more);
        self.post(to, &fields)
    }
}

/// A form as browsers send it.
pub fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut out, octet| {
            if octet.is_ascii_alphanumeric() {
                out.push(char::from(octet));
            } else {
                let _infallible = write!(out, "%{octet:02X}");
            }
            out
        })
    };
    let pairs = fields.iter();
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    pairs.join("&")
}
