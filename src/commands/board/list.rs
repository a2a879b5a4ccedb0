//! `offramp board list`: which serial ports there are.

use clap::Args;
use offramp_firmware_host::{FoundPort, UsbIdentity, list_ports};
use serde_json::json;

use crate::output;
use crate::status::Status;

/// List serial ports, and what to call them
#[derive(Args)]
#[command(after_help = "Example:\n  offramp board list --all")]
pub struct List {
    /// Ports of which nothing is known too, as unused ones of a mainboard
    #[arg(long)]
    all: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl List {
    pub fn run(self) -> anyhow::Result<Status> {
        let ports = list_ports(self.all)?;
        if self.json {
            output::json(&json!({"schema_version": 1, "ports": ports}))?;
        } else if ports.is_empty() {
            let more = if self.all { "" } else { "; --all lists ports of which nothing is known" };
            output::note(format!("no serial port with a device on it{more}"));
        } else {
            output::text(ports.iter().map(tell).collect::<Vec<_>>().join("\n"))?;
        }
        Ok(Status::Done)
    }
}

fn tell(port: &FoundPort) -> String {
    let stays = port.by_id.as_ref().map_or_else(String::new, |name| format!("\n  stays: {}", name.display()));
    let Some(UsbIdentity { vendor, product, serial, .. }) = &port.usb else {
        return format!("{}{stays}", port.path.display());
    };
    let serial = serial.as_ref().map_or_else(String::new, |serial| format!(":{serial}"));
    let words = port.product.as_deref().unwrap_or("a USB device");
    format!("{}  {vendor:04x}:{product:04x}{serial}  {words}{stays}", port.path.display())
}
