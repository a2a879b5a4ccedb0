//! What optimised segments belong to.

use std::path::Path;

use offramp_models::{Bundle, Sha256, regular};

use crate::backend::processor::Processor;
use crate::backend::{Backend, Description};

/// Raised when what is kept changes its form.
const FORMAT: u32 = 2;

/// Name of the folder for `bundle` optimised by `backend` here: the first digits of a digest of everything that the
/// optimised graph depends on. The number of threads does not change it.
pub(super) fn of(bundle: &Bundle, backend: &dyn Backend) -> String {
    key(bundle.identity(), &backend.describe(), &Processor::here(), &machine())
}

/// What tells this machine from others (machine-id(5)), empty where nothing does: who sends a bundle with a cache in it
/// does not know the key that would be looked up here.
fn machine() -> String {
    regular::read_to_string(Path::new("/etc/machine-id")).unwrap_or_default()
}

fn key(identity: Sha256, engine: &Description, processor: &Processor, machine: &str) -> String {
    let Description { name, provider, version } = engine;
    let Processor { architecture, brand, features, threads: _ } = processor;
    let ours = env!("CARGO_PKG_VERSION");
    let brand = brand.as_deref().unwrap_or("unknown");
    let text = [
        &format!("offramp {ours} format {FORMAT}"),
        &format!("bundle {identity}"),
        &format!("engine {name} {provider} {version}"),
        &format!("processor {architecture} {brand}"),
        &features.join(" "),
        &format!("machine {}", machine.trim()),
    ];
    Sha256::of(text.map(String::as_str).join("\n").as_bytes()).prefix(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_engine_processor_and_machine_change_the_key_and_threads_do_not() {
        let engine = Description { name: "ort", provider: "cpu", version: "1.31.1".to_owned() };
        let here = Processor {
            architecture: "x86_64",
            brand: Some("A".to_owned()),
            features: vec!["avx2".to_owned()],
            threads: 4,
        };
        let key = |identity, engine: &_, here: &_| key(identity, engine, here, "one");
        let base = key(Sha256::of(b"a"), &engine, &here);
        assert_ne!(base, super::key(Sha256::of(b"a"), &engine, &here, "two"));
        assert_eq!(base, key(Sha256::of(b"a"), &engine, &Processor { threads: 8, ..here.clone() }));
        assert_ne!(base, key(Sha256::of(b"b"), &engine, &here));
        let newer = Description { version: "1.32.0".to_owned(), ..engine.clone() };
        assert_ne!(base, key(Sha256::of(b"a"), &newer, &here));
        let plainer = Processor { features: Vec::new(), ..here.clone() };
        assert_ne!(base, key(Sha256::of(b"a"), &engine, &plainer));
        let other = Processor { brand: Some("B".to_owned()), ..here };
        assert_ne!(base, key(Sha256::of(b"a"), &engine, &other));
    }
}
