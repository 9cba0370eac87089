//! A phone: a paired device that signs what its owner says, as the page in a browser does.

use std::net::{IpAddr, Ipv4Addr};

use sekisho::access::{Access, DeviceResponse, Responded};
use sekisho::account::{AccountId, AccountKey, Language};
use sekisho::factor::{DeviceKey, Response, Signer, Subject, decision_text};
use sekisho::store::{NewDevice, Paired, PromptDecided, PromptStanding, PromptState, Store};

/// Where phones are.
pub(crate) const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 99));

pub(crate) struct Phone {
    pub(crate) signer: Signer,
    pub(crate) id: i64,
    pub(crate) counter: i64,
    pub(crate) account: AccountId,
}

impl Phone {
    /// Pairs one, which is not proven yet.
    pub(crate) async fn paired(store: &Store, account: &AccountId, name: &str) -> Self {
        let code = sekisho::secret::random_digits(8);
        let signer = Signer::new(&Signer::generate()).unwrap();
        let expires = sekisho::clock::Clock::system()
            .now()
            .after(std::time::Duration::from_secs(3600));
        store
            .open_pairing(account, name, &code, expires)
            .await
            .unwrap();
        let device = NewDevice {
            key: DeviceKey::new(&signer.public()).unwrap(),
            label: "phone".into(),
            language: Language::Ja,
            bell: None,
        };
        let Paired::Done { device: id, .. } = store.pair(&code, device).await.unwrap() else {
            panic!("not paired");
        };
        Self {
            signer,
            id,
            counter: 0,
            account: account.clone(),
        }
    }

    /// Pairs one and proves it by a test.
    pub(crate) async fn proven(
        (access, store): (&Access, &Store),
        account: &AccountId,
        name: &str,
    ) -> Self {
        let mut phone = Self::paired(store, account, name).await;
        let key = AccountKey::from_stored(name);
        let test = access
            .test_device((account, &key), phone.id, (FROM, Language::Ja))
            .await
            .unwrap();
        let known = store.prompt(&test.prompt).unwrap().unwrap();
        let said = phone.say(access, &known, approve(&test.number)).await;
        assert_eq!(said.decided, PromptDecided::Approved);
        phone
    }

    /// The prompts that it would show, oldest first.
    pub(crate) fn sees(&self, store: &Store) -> Vec<PromptStanding> {
        let mut prompts = store.prompts(&self.account).unwrap();
        prompts.retain(|known| known.state == PromptState::Open);
        prompts
    }

    /// Says something to a prompt.
    pub(crate) async fn say(
        &mut self,
        access: &Access,
        known: &PromptStanding,
        response: Response,
    ) -> Responded {
        let said = self.signed(known, response);
        access.respond(said).await.unwrap()
    }

    /// Signs something.
    pub(crate) fn signed(&mut self, known: &PromptStanding, response: Response) -> DeviceResponse {
        self.counter += 1;
        let prompt = &known.prompt;
        let subject = Subject {
            prompt: prompt.id(),
            account: &prompt.account,
            client: &prompt.client,
            station: &prompt.facts.station,
            opened: prompt.opened,
        };
        let text = decision_text(&subject, &response, (self.id, self.counter));
        DeviceResponse {
            prompt: prompt.id().clone(),
            device: self.id,
            counter: self.counter,
            response,
            signature: self.signer.sign(&text).try_into().unwrap(),
            from: FROM,
        }
    }
}

/// An approval by a number; empty where none is asked for.
pub(crate) fn approve(number: &str) -> Response {
    Response::Approve {
        number: number.into(),
    }
}
