//! A real S3 server on loopback (`s3s-fs`), with a front that can be told to answer 500.

use doorframe::transport::store::Place;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) struct S3 {
    address: SocketAddr,
    /// What is in the paths that fail.
    failing: Arc<Mutex<Option<&'static str>>>,
    /// Requests that were answered with 500.
    pub(crate) refused: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

const BUCKET: &str = "door-recordings";

impl S3 {
    pub(crate) async fn start(name: &str) -> Self {
        let root: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3").join(name);
        let _none = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
        builder.set_auth(SimpleAuth::from_single("door", "frame-secret"));
        let service = builder.build();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (failing, refused) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (fails, counts) = (failing.clone(), refused.clone());
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (service, fails, counts) = (service.clone(), fails.clone(), counts.clone());
                let front = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let failing: Option<&str> = *fails.lock().unwrap();
                    let service = service.clone();
                    let fails = failing.is_some_and(|part| request.uri().path().contains(part));
                    counts.fetch_add(fails.into(), Ordering::Relaxed);
                    async move {
                        if fails {
                            // A server that hangs up on what is half sent would be another fault.
                            let _read = s3s::Body::from(request.into_body()).store_all_limited(64 << 20).await;
                            let answer = hyper::Response::builder().status(500);
                            return Ok(answer.body(s3s::Body::from("out of order".to_owned())).unwrap());
                        }
                        service.call(request.map(s3s::Body::from)).await
                    }
                });
                tokio::spawn(async move {
                    let connection = Builder::new(TokioExecutor::new());
                    let _gone = connection.serve_connection(TokioIo::new(socket), front).await;
                });
            }
        });
        Self { address, failing, refused, task }
    }

    pub(crate) fn place(&self) -> Place {
        let settings = [
            ("endpoint", format!("http://{}", self.address)),
            ("allow_http", "true".into()),
            ("region", "us-east-1".into()),
            ("access_key_id", "door".into()),
            ("secret_access_key", "frame-secret".into()),
        ];
        Place::S3 {
            bucket: BUCKET.into(),
            prefix: "home/cameras".into(),
            settings: settings.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    pub(crate) fn fail(&self, failing: bool) {
        *self.failing.lock().unwrap() = failing.then_some("");
    }

    /// Only what has `part` in its path fails.
    pub(crate) fn fail_at(&self, part: &'static str) {
        *self.failing.lock().unwrap() = Some(part);
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}
