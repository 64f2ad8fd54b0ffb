//! How a bucket is reached.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientOptions, Error};
use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use tokio::runtime::Runtime;

/// How long one request may take, unless `AWS_TIMEOUT` says otherwise: a part of an upload over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// A bucket, asked for when it is first needed.
pub struct Bucket {
    name: String,
    connected: OnceLock<Connected>,
}

/// The client of a bucket, and what drives it.
pub struct Connected {
    pub store: AmazonS3,
    /// The same, whose requests are refused where there is an object already; only for those that give an object its name.
    pub creating: AmazonS3,
    /// That is so, and the store can do it.
    pub refuses_by_itself: bool,
    runtime: Runtime,
}

impl Bucket {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), connected: OnceLock::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client, which has asked the store nothing yet.
    pub fn connected(&self) -> io::Result<&Connected> {
        if let Some(connected) = self.connected.get() {
            return Ok(connected);
        }
        let connected = self.connect()?;
        Ok(self.connected.get_or_init(|| connected))
    }

    fn connect(&self) -> io::Result<Connected> {
        // It is there already where another bucket was asked.
        _ = rustls::crypto::ring::default_provider().install_default();
        let (builder, options) = (AmazonS3Builder::from_env().with_bucket_name(&self.name), client_options());
        let build = |builder: AmazonS3Builder, options| {
            builder.with_client_options(options).build().map_err(|error| self.explained(&error))
        };
        let store = build(builder.clone(), options.clone())?;
        let refuses_by_itself = refuses_by_itself(&builder);
        let creating = if refuses_by_itself {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("*"))]);
            let builder = builder.with_credentials(Arc::clone(store.credentials()));
            build(builder, options.with_default_headers(headers))?
        } else {
            store.clone()
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Connected { store, creating, refuses_by_itself, runtime })
    }

    /// What went wrong and what to do about it; the store's own words behind it.
    pub fn explained(&self, error: &Error) -> io::Error {
        let words = error.to_string();
        let (kind, lead) = match error {
            Error::NotFound { .. } if words.contains("NoSuchBucket") => (
                io::ErrorKind::NotFound,
                format!("the store has no bucket '{}'; check the address, AWS_ENDPOINT and AWS_REGION", self.name),
            ),
            Error::NotFound { .. } => (
                io::ErrorKind::NotFound,
                "the store has no such object; check the address, AWS_ENDPOINT and AWS_REGION".to_owned(),
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => (
                io::ErrorKind::PermissionDenied,
                "the store refuses this; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, and what they may do"
                    .to_owned(),
            ),
            Error::Precondition { .. } => (
                io::ErrorKind::Other,
                "somebody has put another object in its place meanwhile; begin again".to_owned(),
            ),
            _ if words.contains("169.254.") || words.contains("Missing") => {
                let lead = "there are no keys for the store; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
                (io::ErrorKind::PermissionDenied, lead.to_owned())
            }
            _ => (
                io::ErrorKind::Other,
                "the store cannot be reached, or fails; check AWS_ENDPOINT, AWS_REGION and the network, and try again".to_owned(),
            ),
        };
        io::Error::new(kind, format!("{lead} ({})", words.trim()))
    }
}

/// Whether the store is to see to it that nothing is overwritten. `AWS_CONDITIONAL_PUT=disabled` says that it cannot.
fn refuses_by_itself(builder: &AmazonS3Builder) -> bool {
    builder.get_config_value(&AmazonS3ConfigKey::ConditionalPut).is_none_or(|value| value != "disabled")
}

/// Timeouts, proxies and certificates, as the environment has them.
fn client_options() -> ClientOptions {
    let mut options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
    for (name, value) in std::env::vars_os() {
        if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
            && name.starts_with("AWS_")
            && let Ok(AmazonS3ConfigKey::Client(key)) = name.to_ascii_lowercase().parse()
        {
            options = options.with_config(key, value);
        }
    }
    options
}

impl Connected {
    /// Waits for it.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Begins it.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(future)
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the keys that a client has.
        f.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}
