//! A page of Chromium, and what a person does with it.

use std::time::Duration;

use serde_json::{Value, json};

use super::devtools::Devtools;
use super::{Screen, keep_picture};

/// How long a picture may take before it is taken again.
const PICTURE: Duration = Duration::from_secs(5);

/// A key that is not a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Tab,
    BackTab,
    Enter,
    Space,
}

/// A page.
pub(super) struct Page<'a> {
    devtools: &'a Devtools,
    target: String,
    session: String,
    screen: Screen,
    expected: Vec<&'static str>,
}

/// What scripts of a page are given to find and judge elements.
const LOOKS: &str = r"
const one = (css) => document.querySelector(css);
const isShown = (it) => it.checkVisibility({ visibilityProperty: true, opacityProperty: true });
const named = (it) => it.outerHTML.slice(0, 120);
";
/// Controls that cannot be told by name, or hit by a thumb (44 pixels).
const UNFIT: &str = r"
[...document.querySelectorAll('button, input:not([type=hidden]), summary, a.button')].filter((it) => {
  const text = it.labels?.[0]?.innerText || it.innerText || it.getAttribute('aria-label');
  return isShown(it) && (!text?.trim() || it.getBoundingClientRect().height < 44);
}).map(named)
";
/// Elements that reach out of the screen at its sides. What is moved away on purpose, to be read aloud alone, is 1 pixel wide
/// or left of the page.
const TOO_WIDE: &str = r"
[...document.querySelectorAll('body *')].filter((it) => {
  const { left, right, width } = it.getBoundingClientRect();
  return isShown(it) && width > 1 && right > 0 && (right > WIDTH + 1 || left < -1);
}).map(named)
";

impl<'a> Page<'a> {
    pub(super) fn new(
        devtools: &'a Devtools,
        (target, session): (String, String),
        screen: Screen,
    ) -> Self {
        let mut page = Self {
            devtools,
            target,
            session,
            screen,
            expected: Vec::new(),
        };
        for domain in ["Page", "Runtime", "Log"] {
            page.ask(&format!("{domain}.enable"), json!({}));
        }
        page.resize(screen);
        // Pictures are not taken half way.
        page.emulate("", &[("prefers-reduced-motion", "reduce")]);
        page
    }

    fn ask(&self, method: &str, parameters: Value) -> Value {
        self.devtools.call(&self.session, method, parameters)
    }

    /// Closes it.
    pub(super) fn close(self) {
        let target = json!({ "targetId": self.target });
        let _closed = self.devtools.call("", "Target.closeTarget", target);
    }

    pub(super) fn screen(&self) -> Screen {
        self.screen
    }

    /// Gives the page another screen.
    pub(super) fn resize(&mut self, screen: Screen) {
        self.screen = screen;
        let _nothing = self.ask(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": screen.width, "height": screen.height,
                "deviceScaleFactor": screen.dots, "mobile": screen.mobile,
            }),
        );
    }

    /// Says what its user prefers: media (`""`, `"print"`) and features, such as `("prefers-reduced-motion", "reduce")`.
    pub(super) fn emulate(&self, media: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> = features
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let _nothing = self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "media": media, "features": features }),
        );
    }

    /// Opens an address and waits until it is there.
    pub(super) fn goto(&self, url: &str) {
        let went = self.ask("Page.navigate", json!({ "url": url }));
        assert_eq!(went["errorText"], Value::Null, "{url}");
        self.wait("document.readyState === 'complete'");
    }

    /// What an expression comes to, promises waited for; why not, if it throws or the page goes meanwhile.
    pub(super) fn try_value(&self, expression: &str) -> Result<Value, String> {
        let expression = format!("{{ {LOOKS} ({expression}) }}");
        let mut answer = self.devtools.try_call(
            &self.session,
            "Runtime.evaluate",
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }),
        )?;
        match answer["exceptionDetails"].take() {
            Value::Null => Ok(answer["result"]["value"].take()),
            thrown => Err(thrown["exception"]["description"].to_string()),
        }
    }

    /// The same, which must succeed.
    pub(super) fn value(&self, expression: &str) -> Value {
        self.try_value(expression)
            .unwrap_or_else(|why| panic!("{expression}: {why}"))
    }

    /// Waits until an expression is true, and gives what it is.
    pub(super) fn wait(&self, expression: &str) -> Value {
        let is_true = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        let deadline = self.devtools.deadline();
        deadline.wait(
            || format!("never {expression}: {}", self.outline()),
            || self.try_value(expression).ok().filter(is_true),
        )
    }

    /// Waits until an element is shown that matches, in a page that has all of its files.
    pub(super) fn find(&self, css: &str) {
        let css = json!(css);
        let _true = self.wait(&format!(
            "document.readyState === 'complete' && one({css}) && isShown(one({css}))"
        ));
    }

    /// The text of the first that matches, once it is shown.
    pub(super) fn text(&self, css: &str) -> String {
        self.find(css);
        let text = self.value(&format!("one({}).innerText.trim()", json!(css)));
        text.as_str().unwrap().to_owned()
    }

    /// What the page says now.
    pub(super) fn words(&self) -> String {
        let words = self.value("document.body.innerText");
        words.as_str().unwrap().to_owned()
    }

    fn outline(&self) -> String {
        let outline = self.try_value("`${location.href}\n${document.body.innerText}`");
        outline.map_or_else(|why| why, |text| text.as_str().unwrap_or_default().into())
    }

    /// Clicks in the middle of the first that matches, which nothing may cover.
    pub(super) fn click(&self, css: &str) {
        self.find(css);
        let at = self.value(&format!(
            r"(() => {{
              const it = one({});
              it.scrollIntoView({{ block: 'center', behavior: 'instant' }});
              const {{ x, y, width, height }} = it.getBoundingClientRect();
              const at = [x + width / 2, y + height / 2];
              const hit = document.elementFromPoint(...at);
              return it.contains(hit) ? at : named(hit);
            }})()",
            json!(css)
        ));
        assert!(at.is_array(), "{css} is covered by {at}");
        for kind in ["mousePressed", "mouseReleased"] {
            let _nothing = self.ask(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Presses a key and lets it go.
    pub(super) fn press(&self, key: Key) {
        let (name, code, number, text, modifiers) = match key {
            Key::Tab => ("Tab", "Tab", 9, "", 0),
            Key::BackTab => ("Tab", "Tab", 9, "", 8),
            Key::Enter => ("Enter", "Enter", 13, "\r", 0),
            Key::Space => (" ", "Space", 32, " ", 0),
        };
        self.stroke(json!({
            "key": name, "code": code, "windowsVirtualKeyCode": number, "text": text, "modifiers": modifiers,
        }));
    }

    /// Types into whatever has the focus, key by key.
    pub(super) fn type_text(&self, text: &str) {
        for c in text.chars() {
            self.stroke(json!({ "key": c.to_string(), "text": c.to_string() }));
        }
    }

    fn stroke(&self, mut key: Value) {
        for kind in ["keyDown", "keyUp"] {
            key["type"] = kind.into();
            let _nothing = self.ask("Input.dispatchKeyEvent", key.clone());
        }
    }

    /// Goes on by the tabulator until what matches has the focus, which must be seen then; each stop on the way, too.
    pub(super) fn tab_to(&self, css: &str) {
        const STOPS: usize = 60;
        self.find(css);
        for _ in 0..STOPS {
            if self.value(&format!("document.activeElement.matches({})", json!(css))) == true {
                return;
            }
            self.press(Key::Tab);
            self.focus_is_seen();
        }
        panic!("no way to {css} by keyboard: {}", self.outline());
    }

    /// Asserts that what has the focus is on the screen and marked, and that nothing lies over it.
    fn focus_is_seen(&self) {
        let seen = self.value(
            r"(() => {
              const it = document.activeElement;
              if (it === document.body) return true;
              const { left, top, right, bottom } = it.getBoundingClientRect();
              const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(it);
              const isMarked = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0 || boxShadow !== 'none';
              const isOn = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
              return isMarked && isOn || `${isMarked} ${isOn} ${named(it)}`;
            })()",
        );
        assert_eq!(seen, true, "the focus is not seen");
    }

    /// Keeps a picture of the whole page, however long.
    pub(super) fn screenshot(&self, name: &str) {
        self.wait("document.readyState === 'complete'");
        let take = || {
            let size = self.ask("Page.getLayoutMetrics", json!({}));
            let clip = json!({
                "x": 0, "y": 0, "scale": 1,
                "width": self.screen.width, "height": size["cssContentSize"]["height"],
            });
            let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
            let to = (self.session.as_str(), "Page.captureScreenshot");
            self.devtools.ask(to, how, PICTURE).ok()
        };
        // One that is taken while the page goes is never answered.
        let deadline = self.devtools.deadline();
        let picture = deadline.wait(|| format!("no picture of {name}"), take);
        keep_picture(name, picture["data"].as_str().unwrap());
    }

    /// Says that a fault with these words is none.
    pub(super) fn expects(&mut self, fault: &'static str) {
        self.expected.push(fault);
    }

    /// Asserts that nothing is out of the screen at its sides, and that nothing went wrong behind the page.
    pub(super) fn is_sound(&self) {
        self.wait("document.readyState === 'complete'");
        let width = self.screen.width;
        let wide = self.value("document.documentElement.scrollWidth");
        let beyond = self.value(&TOO_WIDE.trim().replace("WIDTH", &width.to_string()));
        assert!(
            wide.as_u64() <= Some(width.into()) && beyond == json!([]),
            "wider than {width}: {wide}, {beyond:#}"
        );
        let faults = self.faults();
        let is_expected = |fault: &String| self.expected.iter().any(|it| fault.contains(it));
        assert!(faults.iter().all(is_expected), "{faults:#?}");
    }

    /// Asserts that every control has a name, and is large enough for a thumb.
    pub(super) fn is_fit(&self) {
        assert_eq!(self.value(UNFIT.trim()), json!([]));
    }

    /// Whether an element is on the screen as a whole without scrolling.
    pub(super) fn is_in_view(&self, css: &str) -> bool {
        let height = self.screen.height;
        let css = json!(css);
        let bottom = self.value(&format!(
            "scrollY + one({css}).getBoundingClientRect().bottom"
        ));
        bottom.as_f64() <= Some(f64::from(height))
    }

    /// What went wrong behind the page: exceptions, errors and warnings of the console, what the policy of its content
    /// forbade, what could not be loaded.
    pub(super) fn faults(&self) -> Vec<String> {
        self.devtools.events(&self.session, |event| {
            let told = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(told["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => {
                    let is_bad = matches!(told["type"].as_str()?, "error" | "warning" | "assert");
                    is_bad.then(|| told["args"].to_string())
                }
                "Log.entryAdded" => {
                    let entry = &told["entry"];
                    let is_bad = matches!(entry["level"].as_str()?, "error" | "warning");
                    is_bad.then(|| format!("{} {}", entry["text"], entry["url"]))
                }
                _ => None,
            }
        })
    }
}
