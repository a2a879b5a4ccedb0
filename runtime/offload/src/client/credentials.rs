//! What proves to a peer who is asking. Never shown, never logged.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use offramp_models::regular;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};

use super::config::{Config, ConfigError};
use super::terms::Terms;
use crate::watched::WatchedFile;

/// How long a token is used before its file is looked at again.
const FRESH: Duration = Duration::from_secs(1);

type Value = MetadataValue<Ascii>;

/// A bearer token and metadata.
pub(super) struct Credentials {
    token: Option<TokenFile>,
    metadata: Vec<(MetadataKey<Ascii>, Value)>,
}

struct TokenFile {
    file: WatchedFile,
    token: Mutex<Value>,
}

/// Looks at the token's file again and again, for as long as it is polled. A file may lie where reading takes its time: requests
/// never wait for it.
pub(super) async fn refresh(terms: Arc<Terms>) {
    loop {
        tokio::time::sleep(FRESH).await;
        let terms = Arc::clone(&terms);
        let look = move || {
            if let Some(token) = &terms.credentials.token {
                token.look_again();
            }
        };
        // It ends with the client.
        let _stopped = tokio::task::spawn_blocking(look).await;
    }
}

impl Credentials {
    /// Reads the token and checks that everything can be sent.
    ///
    /// # Errors
    /// `Read` or `Token` for the file, `Metadata` for a name or value that gRPC does not carry.
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let token = config.token_file.clone().map(TokenFile::open).transpose()?;
        let metadata = config.metadata.iter().map(|datum| {
            let refused = || ConfigError::Metadata { name: datum.name.clone() };
            let key = MetadataKey::from_bytes(datum.name.as_bytes()).map_err(|_| refused())?;
            Ok((key, secret(&datum.value).ok_or_else(refused)?))
        });
        Ok(Self { token, metadata: metadata.collect::<Result<_, ConfigError>>()? })
    }

    /// Adds everything to a request.
    pub(super) fn apply(&self, metadata: &mut MetadataMap) {
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.current());
        }
        for (key, value) in &self.metadata {
            metadata.insert(key.clone(), value.clone());
        }
    }

    /// `text` without any secret that a peer may have put into it, on one line of bounded length.
    pub(super) fn redact(&self, text: &str) -> String {
        const LONGEST: usize = 300;
        let mut text = text.replace(char::is_control, " ");
        let token = self.token.as_ref().map(TokenFile::current);
        let values = token.iter().chain(self.metadata.iter().map(|(_, value)| value));
        for value in values.filter_map(|value| value.to_str().ok()) {
            let secret = value.strip_prefix("Bearer ").unwrap_or(value);
            if !secret.is_empty() {
                text = text.replace(secret, "***");
            }
        }
        if let Some((end, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(end);
            text.push_str(" ..");
        }
        text
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl TokenFile {
    fn open(path: PathBuf) -> Result<Self, ConfigError> {
        let file = WatchedFile::new(path.clone());
        let token = match read(&path) {
            Ok(token) => token.ok_or_else(|| ConfigError::Token { path: path.clone() })?,
            Err(source) => return Err(ConfigError::Read { what: "the token file", path, source }),
        };
        Ok(Self { file, token: Mutex::new(token) })
    }

    /// The token as the file had it when it was last looked at.
    fn current(&self) -> Value {
        self.held().clone()
    }

    /// Reads the file again if it has changed. One that cannot be used leaves the token as it is.
    fn look_again(&self) {
        if !self.file.has_changed() {
            return;
        }
        let file = self.file.path().display();
        // Not under the lock: it may take long.
        match read(self.file.path()) {
            Ok(Some(token)) => {
                *self.held() = token;
                tracing::info!(%file, "the token was read again");
            }
            Ok(None) => tracing::warn!(%file, "the new token cannot be sent"),
            Err(error) => tracing::warn!(%file, %error, "the new token cannot be read"),
        }
    }

    fn held(&self) -> MutexGuard<'_, Value> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token in a file, surrounding white space left out; `None` where it cannot be sent.
fn read(path: &Path) -> io::Result<Option<Value>> {
    let text = regular::read_to_string(path)?;
    let token = text.trim();
    Ok(if token.is_empty() { None } else { secret(&format!("Bearer {token}")) })
}

/// A value that is shown nowhere and that HTTP/2 does not index.
fn secret(text: &str) -> Option<Value> {
    let mut value: Value = text.parse().ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Address, Metadatum};

    fn config(token_file: Option<&Path>, metadata: &[&str]) -> Config {
        Config {
            token_file: token_file.map(Path::to_owned),
            metadata: metadata.iter().map(|text| text.parse().unwrap()).collect(),
            ..Config::new(vec![Address::plain("localhost", 1)])
        }
    }

    fn sent(credentials: &Credentials, name: &str) -> String {
        let mut map = MetadataMap::new();
        credentials.apply(&mut map);
        assert!(map.get(name).unwrap().is_sensitive());
        map.get(name).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn a_token_that_changes_is_sent_anew_and_one_that_disappears_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let credentials = Credentials::new(&config(Some(&path), &[])).unwrap();
        assert_eq!(sent(&credentials, "authorization"), "Bearer first");
        std::fs::write(&path, "the second").unwrap();
        assert_eq!(sent(&credentials, "authorization"), "Bearer first", "nobody has looked");
        let look = || credentials.token.as_ref().unwrap().look_again();
        look();
        assert_eq!(sent(&credentials, "authorization"), "Bearer the second");
        std::fs::remove_file(&path).unwrap();
        look();
        assert_eq!(sent(&credentials, "authorization"), "Bearer the second");
        std::fs::write(&path, "").unwrap();
        look();
        assert_eq!(sent(&credentials, "authorization"), "Bearer the second");
        // What is no file is not opened: a pipe would wait for its writer.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        look();
        assert_eq!(sent(&credentials, "authorization"), "Bearer the second");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hush\u{1}").unwrap();
        let cases =
            [config(Some(&path), &[]), config(None, &["name=hush\u{1}"]), config(None, &["na me=hush"])];
        for config in cases {
            let error = Credentials::new(&config).unwrap_err();
            assert!(!format!("{error} {error:?} {config:?}").contains("hush"), "{error:?}");
        }
        let missing = Credentials::new(&config(Some(&folder.path().join("none")), &[])).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read the token file "), "{missing}");
    }

    #[test]
    fn secrets_that_a_peer_sends_back_are_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cr3t").unwrap();
        let credentials = Credentials::new(&config(Some(&path), &["x-key=hush"])).unwrap();
        let told = credentials.redact("token s3cr3t\nand key hush are wrong");
        assert_eq!(told, "token *** and key *** are wrong");
        assert!(credentials.redact(&"a".repeat(1000)).len() < 310);
        assert!(!format!("{credentials:?}").contains("s3cr3t"));
        assert_eq!(
            format!("{:?}", Metadatum { name: "a".into(), value: "b".into() }),
            "Metadatum { name: \"a\", .. }"
        );
    }
}
