//! A phone as the portal sees one: it has a key, and signs JSON.

use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use sekisho::clock::Clock;
use sekisho::factor::{DeviceKey, SIGNATURE, Signer};
use serde_json::{Value, json};

use super::visitor::{Page, Visitor};

/// A phone that is paired.
pub struct Phone {
    pub to: SocketAddr,
    pub signer: Signer,
    pub id: i64,
    pub counter: i64,
    server: DeviceKey,
    account: String,
}

/// Milliseconds since the epoch.
pub fn now() -> i64 {
    Clock::system().now().millis()
}

/// Sends JSON to the portal, without cookies.
pub fn tell(to: SocketAddr, path: &str, message: &Value) -> Page {
    let head = [("Content-Type", "application/json")];
    Visitor::new(to).send("POST", path, &head, &message.to_string())
}

fn json_of(page: &Page) -> Value {
    serde_json::from_str(&page.body).unwrap_or_else(|_| panic!("no JSON: {page:?}"))
}

impl Phone {
    /// Pairs with a code as the page shows it.
    pub fn try_pair(to: SocketAddr, code: &str) -> Result<Self, Page> {
        let code = code.replace('-', "");
        let signer = Signer::new(&Signer::generate()).unwrap();
        let key = BASE64URL_NOPAD.encode(&signer.public());
        let signed = signer.sign(&format!("sekisho pairing 1\n{code}\n{key}\n"));
        let page = tell(
            to,
            "/device/pair",
            &json!({
                "code": code, "key": key, "label": "iPhone", "language": "ja",
                "signature": BASE64URL_NOPAD.encode(&signed),
            }),
        );
        if page.status != 200 {
            return Err(page);
        }
        let said = json_of(&page);
        let server = BASE64URL_NOPAD.decode(said["key"].as_str().unwrap().as_bytes());
        Ok(Self {
            to,
            signer,
            id: said["device"].as_i64().unwrap(),
            counter: 0,
            server: DeviceKey::new(&server.unwrap()).unwrap(),
            account: said["account"].as_str().unwrap().to_owned(),
        })
    }

    /// Signs a text.
    pub fn sign(&self, text: &str) -> String {
        BASE64URL_NOPAD.encode(&self.signer.sign(text))
    }

    /// A question for what waits, signed at a moment.
    pub fn question(&self, at: i64) -> Value {
        let signature = self.sign(&format!("sekisho poll 1\n{}\n{at}\n", self.id));
        json!({ "device": self.id, "at": at, "signature": signature })
    }

    /// What waits, each checked for the server's signature.
    pub fn waiting(&self) -> Vec<Value> {
        let page = tell(self.to, "/device/poll", &self.question(now()));
        assert_eq!(page.status, 200, "{page:?}");
        self.believed(&page)
    }

    /// The requests of an answer.
    pub fn believed(&self, page: &Page) -> Vec<Value> {
        let said = json_of(page);
        let requests = said["requests"].as_array().unwrap().iter();
        let requests = requests.map(|request| {
            let text = request["text"].as_str().unwrap();
            let signature = request["signature"].as_str().unwrap();
            let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
            let signature: [u8; SIGNATURE] = signature.try_into().unwrap();
            let signed = format!("sekisho request 1\n{text}\n");
            assert!(self.server.verify(&signed, &signature));
            let request: Value = serde_json::from_str(text).unwrap();
            assert_eq!(request["account"], self.account.as_str());
            request
        });
        requests.collect()
    }

    /// The one request that waits.
    pub fn request(&self) -> Value {
        let mut waiting = self.waiting();
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        waiting.remove(0)
    }

    /// A signed decision.
    pub fn signed(&mut self, request: &Value, word: &str, number: &str) -> Value {
        self.counter += 1;
        let text = |key: &str| request[key].as_str().unwrap().to_owned();
        let signature = self.sign(&format!(
            "sekisho decision 1\n{}\n{}\n{}\n{}\n{}\n{word}\n{number}\n{}\n{}\n",
            text("prompt"),
            text("account"),
            text("client"),
            text("station"),
            request["opened"],
            self.id,
            self.counter
        ));
        json!({
            "prompt": text("prompt"), "device": self.id, "counter": self.counter,
            "response": word, "number": number, "signature": signature,
        })
    }

    /// Says where its doorbell is.
    pub fn bell(&mut self, bell: &str) -> Value {
        self.counter += 1;
        let (id, counter) = (self.id, self.counter);
        let signature = self.sign(&format!("sekisho doorbell 1\n{id}\n{counter}\n{bell}\n"));
        json!({ "device": id, "counter": counter, "bell": bell, "signature": signature })
    }

    /// Decides, and gives the word for what came of it; the status, if it was refused.
    pub fn say(&mut self, request: &Value, word: &str, number: &str) -> String {
        let decision = self.signed(request, word, number);
        outcome(&tell(self.to, "/device/decide", &decision))
    }
}

/// The word for what came of a decision; the status, if it was refused.
pub fn outcome(page: &Page) -> String {
    match page.status {
        200 => json_of(page)["outcome"].as_str().unwrap().to_owned(),
        status => status.to_string(),
    }
}
