//! The two servers under test, on one database: one that browsers see over
//! http, and one over https.

use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use portcullis::app::Application;
use portcullis::settings::{Settings, Values};

use crate::case::CaseFile;
use crate::support::database::TestDatabase;

pub struct Server {
    http: u16,
    https: u16,
    handles: Vec<ServerHandle>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(file: &CaseFile, database: &TestDatabase) -> Self {
        let settings = ["http", "https"].map(|scheme| settings(scheme, file, database));
        let (send, receive) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let [http, https] =
                    settings.map(|settings| Application::build(&settings).expect("a server"));
                let handles = vec![http.handle(), https.handle()];
                send.send((http.port(), https.port(), handles)).unwrap();
                let ends = [http, https].map(Application::run_until_stopped);
                for end in futures_util::future::join_all(ends).await {
                    end.expect("the server runs");
                }
            });
        });
        let (http, https, handles) = receive.recv().expect("the servers start");
        Self {
            http,
            https,
            handles,
            thread: Some(thread),
        }
    }

    pub fn port(&self, https: bool) -> u16 {
        if https { self.https } else { self.http }
    }
}

fn settings(scheme: &str, file: &CaseFile, database: &TestDatabase) -> Settings {
    let values = [
        ("DATABASE_URL", database.url()),
        ("PORTCULLIS_BIND", "127.0.0.1:0".to_owned()),
        ("PORTCULLIS_PUBLIC_URL", format!("{scheme}://api.test")),
        ("PORTCULLIS_ALLOWED_HOSTS", "api.test".to_owned()),
        ("PORTCULLIS_STORAGE", "django".to_owned()),
        ("PORTCULLIS_SECRET_KEY", file.secret_key.clone()),
        ("PORTCULLIS_PASSWORD_HASHER", "pbkdf2_sha256".to_owned()),
        ("PORTCULLIS_PASSWORD_COST", file.iterations.to_string()),
        ("PORTCULLIS_TRUSTED_ORIGINS", file.trusted_origins.clone()),
        ("PORTCULLIS_THROTTLE", "off".to_owned()),
        ("PORTCULLIS_DATABASE_POOL", "2".to_owned()),
        ("PORTCULLIS_WORKERS", "1".to_owned()),
    ];
    let values = Values::from_flags(values).expect("settings");
    Settings::new(values).expect("settings")
}

impl Drop for Server {
    fn drop(&mut self) {
        for handle in &self.handles {
            drop(handle.stop(false));
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the servers end");
        }
    }
}
