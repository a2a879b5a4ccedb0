//! What a device says of itself.

use heapless::{String, Vec};

use crate::fields::{Reader, Writer};
use crate::schema::SCHEMA_HASH;

/// Channels that a meter can have.
pub const MAX_CHANNELS: usize = 4;

/// The device's answer to a greeting; it also sends it unasked after every reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the device can do.
    pub abilities: Abilities,
    /// Ticks of device time per second, by the device's own crystal.
    pub tick_hz: u32,
    /// Samples per thousand seconds that it takes unless told otherwise.
    pub rate_millihz: u32,
    /// A number that no two boots share, a count or a random one: another number is another clock.
    pub boot: u32,
    /// Bytes of an image that it takes; 0 where it takes none.
    pub image_bytes: u32,
    /// What it is, `offramp meter on LM3S6965`.
    pub name: String<32>,
    /// Which one it is: no two devices share it.
    pub serial: String<32>,
    /// What is sampled, in the order of a batch's values.
    pub channels: Vec<Channel, MAX_CHANNELS>,
}

/// What a device can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Streams power samples.
    pub meter: bool,
    /// Runs a network on images that it is sent.
    pub network: bool,
    /// Stamps the edges of a wire.
    pub line: bool,
}

/// One sampled quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What it measures.
    pub quantity: Quantity,
    /// Billionths of the unit per count, unless a batch says otherwise.
    pub scale_nano: u32,
    /// What it is called, `VDD_IN`.
    pub label: String<16>,
}

/// What a channel measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Quantity {
    /// Watts.
    Power = 1,
    /// Volts; the channel behind it, where that is a current, belongs to it.
    Voltage = 2,
    /// Amperes.
    Current = 3,
}

impl Quantity {
    fn read(code: u8) -> Option<Self> {
        [Self::Power, Self::Voltage, Self::Current].into_iter().find(|quantity| *quantity as u8 == code)
    }
}

impl Hello {
    pub(crate) fn write<const N: usize>(&self, to: &mut Writer<'_, N>) -> Option<()> {
        let Abilities { meter, network, line } = self.abilities;
        to.u64(SCHEMA_HASH)?;
        to.u8(u8::from(meter) | u8::from(network) << 1 | u8::from(line) << 2)?;
        to.u32(self.tick_hz)?;
        to.u32(self.rate_millihz)?;
        to.u32(self.boot)?;
        to.u32(self.image_bytes)?;
        to.u8(u8::try_from(self.channels.len()).ok()?)?;
        to.string(&self.name)?;
        to.string(&self.serial)?;
        for channel in &self.channels {
            to.u8(channel.quantity as u8)?;
            to.u32(channel.scale_nano)?;
            to.string(&channel.label)?;
        }
        Some(())
    }

    /// Reads what follows the schema's hash.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let bits = from.u8()?;
        let mut hello = Self {
            abilities: Abilities { meter: bits & 1 != 0, network: bits & 2 != 0, line: bits & 4 != 0 },
            tick_hz: from.u32()?,
            rate_millihz: from.u32()?,
            boot: from.u32()?,
            image_bytes: from.u32()?,
            name: String::new(),
            serial: String::new(),
            channels: Vec::new(),
        };
        let channels = from.u8()?;
        hello.name = from.string()?;
        hello.serial = from.string()?;
        for _ in 0..channels {
            let quantity = Quantity::read(from.u8()?)?;
            let channel = Channel { quantity, scale_nano: from.u32()?, label: from.string()? };
            hello.channels.push(channel).ok()?;
        }
        (bits < 8 && hello.tick_hz > 0).then_some(hello)
    }
}
