//! A headless Chromium, spoken to by the DevTools protocol.

use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A browser with one page. Killed when dropped.
pub(crate) struct Chromium {
    process: Child,
    profile: PathBuf,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    next_id: u64,
}

/// Chromium, or a clear word that there is none. CI has to have it.
pub(crate) fn find_or_skip() -> Option<PathBuf> {
    let found = find();
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CI has to install Chromium");
        println!("SKIPPED: no Chromium on this machine; install the package chromium to run this test");
    }
    found
}

/// Leaves a picture for a person to look at, in the folder that `DOORFRAME_SCREENSHOTS` names.
#[allow(dead_code, reason = "not every test keeps pictures")]
pub(crate) fn keep(name: &str, png: &str) {
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000, "{name} is no picture: {} bytes", png.len());
    if let Some(folder) = std::env::var_os("DOORFRAME_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join(name), png).unwrap();
    }
}

/// Where Chromium is, if it is installed.
fn find() -> Option<PathBuf> {
    let candidates = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| candidates.map(|name| dir.join(name)))
        .find(|candidate| candidate.is_file())
}

impl Chromium {
    /// Opens `url` in a new browser with a new profile, in a window of this size.
    pub(crate) fn open(program: &Path, url: &str, width: u32, height: u32, dark: bool) -> Self {
        let profile = std::env::temp_dir().join(format!("doorframe-chromium-{}-{width}-{dark}", std::process::id()));
        let mut process = Command::new(program)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-port=0",
            ])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(dark.then_some("--force-dark-mode"))
            .arg("about:blank")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("Chromium ended at its start").unwrap();
            if let Some(address) = line.strip_prefix("DevTools listening on ") {
                break address.to_owned();
            }
        };
        // What it says later must go somewhere, or its pipe fills.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(address.as_str()).unwrap();
        let mut browser = Self { process, profile, socket, session: String::new(), next_id: 0 };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        let scheme = if dark { "dark" } else { "light" };
        browser.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 }),
        );
        browser.call("Page.navigate", json!({ "url": url }));
        browser
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut request = json!({ "id": self.next_id, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == json!(self.next_id) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
        }
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        result["result"]["value"].clone()
    }

    /// What the page says of itself.
    pub(crate) fn statistics(&mut self) -> Value {
        let text = self.evaluate("JSON.stringify(window.doorframe ?? null)");
        text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// Waits until the page's statistics are as wished, and gives them.
    pub(crate) fn wait(&mut self, what: &str, patience: Duration, wished: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let statistics = self.statistics();
            if wished(&statistics) {
                return statistics;
            }
            assert!(started.elapsed() < patience, "no {what} within {patience:?}: {statistics}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the text of an element is as wished: what the page draws comes a moment after its statistics.
    #[allow(dead_code, reason = "not every test reads texts")]
    pub(crate) fn text(&mut self, element: &str, patience: Duration, wished: impl Fn(&str) -> bool) {
        let started = Instant::now();
        loop {
            let text = self.evaluate(&format!("{element}?.textContent"));
            if text.as_str().is_some_and(&wished) {
                return;
            }
            assert!(started.elapsed() < patience, "not within {patience:?}: {element} says {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A picture of the page, as PNG in base64, once what it fades in and out has settled.
    pub(crate) fn screenshot(&mut self) -> String {
        std::thread::sleep(Duration::from_millis(900));
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        shot["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _gone = self.process.wait();
        let _left = std::fs::remove_dir_all(&self.profile);
    }
}
