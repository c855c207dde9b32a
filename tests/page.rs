//! The page's server: what it serves, under which policy, and that it serves nothing else.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use doorframe::page::{Page, PageError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn request(page: &Page, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", page.url().port().unwrap())).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_page_is_served_under_a_policy_that_lets_nothing_else_in() {
    let page = Page::serve(0).await.unwrap();
    let index = request(&page, "/").await;
    assert!(index.starts_with("HTTP/1.1 200") && index.contains("viewer.js"), "{index}");
    for header in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(index.contains(header), "{header} is not in {index}");
    }
    assert!(!index.contains("<style") && !index.contains("onclick"), "the policy would block it");
    assert!(request(&page, "/viewer.js").await.contains("text/javascript"));
    assert!(request(&page, "/viewer.css").await.contains("text/css"));
    assert!(request(&page, "/../Cargo.toml").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let page = Page::serve(0).await.unwrap();
    let port = page.url().port().unwrap();
    let error = Page::serve(port).await.unwrap_err();
    assert!(matches!(error, PageError::InUse(_)));
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}
