//! Puts the memory's layout where the linker looks.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::copy("memory.x", out.join("memory.x"))?;
    #[expect(clippy::print_stdout, reason = "how a build script talks to cargo")]
    {
        println!("cargo::rustc-link-search={}", out.display());
        println!("cargo::rerun-if-changed=memory.x");
    }
    Ok(())
}
