//! TI's INA226 on any I2C bus: volts and amperes over a shunt.
//!
//! It converts without a pause, the shunt and the bus in turn; its averager ends a sample, and a flag tells when. The bus
//! is steady and the shunt is not, so the bus is converted as quickly as it can be: the rest of the time it looks at the
//! current.
//!
//! Source: TI, INA226 data sheet, SBOS547B: conversions in section 6.4, calibration in 6.5, registers in 7.1.

use embedded_hal::i2c::{Error, I2c};
use heapless::Vec;
use offramp_wire::{Channel, MAX_CHANNELS, Quantity};

use crate::sensor::{Begun, Sample, Sensor, SensorError};

const CONFIGURATION: u8 = 0x00;
const BUS_VOLTAGE: u8 = 0x02;
const CURRENT: u8 = 0x04;
const CALIBRATION: u8 = 0x05;
const MASK_ENABLE: u8 = 0x06;
const MANUFACTURER: u8 = 0xfe;

/// "TI".
const TEXAS_INSTRUMENTS: u16 = 0x5449;
/// All conversions and averages of a sample are done; reading it clears it.
const CONVERSION_READY: u16 = 1 << 3;
/// Bit 14 reads as 1; shunt and bus in turn, without end; the bus at its quickest.
const CONTINUOUS: u16 = 0x4007;
/// With this the current register counts as the shunt voltage does: one count is one of the converter, 2.5 uV. Any
/// larger number would show steps that the converter cannot see.
const COUNTS_OF_THE_SHUNT: u16 = 2048;
/// Microvolts of the shunt per count, times 1000.
const SHUNT_NANOVOLT: u64 = 2500;
/// 1.25 mV.
const BUS_SCALE_NANO: u32 = 1_250_000;

/// The bus's conversion at its quickest.
const BUS_US: u32 = 140;
/// Microseconds of the shunt's conversion, by the register's number.
const CONVERSION_US: [u32; 8] = [140, 204, 332, 588, 1100, 2116, 4156, 8244];
/// Conversions in one sample, by the register's number.
const AVERAGES: [u32; 8] = [1, 4, 16, 64, 128, 256, 512, 1024];

/// What current flows through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shunt {
    /// Its resistance, as measured: an error here is an error of every joule. At most 81.92 mV may lie across it.
    pub micro_ohm: u32,
}

impl Shunt {
    /// Billionths of an ampere per count.
    #[must_use]
    pub fn scale_nano(self) -> u32 {
        let ohm = u64::from(self.micro_ohm.max(1));
        u32::try_from((SHUNT_NANOVOLT * 1_000_000 + ohm / 2) / ohm).unwrap_or(u32::MAX)
    }
}

/// The sensor, and how far it has got.
#[derive(Debug)]
pub struct Ina226<I> {
    bus: I,
    address: u8,
    shunt: Shunt,
    tick_hz: u32,
    quickest_us: u32,
    run: Option<Conversions>,
}

#[derive(Clone, Copy, Debug)]
struct Conversions {
    period: u32,
    /// When the last sample was ready.
    last: u32,
    /// The flag is not asked for before.
    not_before: u32,
}

impl<I: I2c> Ina226<I> {
    /// A sensor at `address`, 0x40 to 0x4f. A sample takes at least `quickest_us` microseconds: reading one must take
    /// less.
    pub fn new(bus: I, address: u8, shunt: Shunt, tick_hz: u32, quickest_us: u32) -> Self {
        Self { bus, address, shunt, tick_hz, quickest_us, run: None }
    }

    /// The bus.
    pub fn release(self) -> I {
        self.bus
    }

    fn ticks(&self, microseconds: u32) -> u32 {
        u32::try_from(u64::from(microseconds) * u64::from(self.tick_hz) / 1_000_000).unwrap_or(u32::MAX)
    }

    fn read(&mut self, register: u8) -> Result<u16, SensorError> {
        let mut bytes = [0; 2];
        self.bus
            .write_read(self.address, &[register], &mut bytes)
            .map_err(|error| SensorError::Bus(error.kind()))?;
        Ok(u16::from_be_bytes(bytes))
    }

    fn write(&mut self, register: u8, value: u16) -> Result<(), SensorError> {
        let [high, low] = value.to_be_bytes();
        self.bus.write(self.address, &[register, high, low]).map_err(|error| SensorError::Bus(error.kind()))
    }

    /// Registers' numbers and microseconds of the sample that looks at the shunt for as long as the rate allows. Of two
    /// alike, longer conversions have less noise.
    fn choose(&self, rate_millihz: u32) -> Option<(u16, u16, u32)> {
        let longest_us = 1_000_000_000 / rate_millihz.max(1);
        let choices = (0_u16..).zip(AVERAGES).flat_map(|(average, count)| {
            (0_u16..)
                .zip(CONVERSION_US)
                .map(move |(time, each)| (average, time, each * count, (each + BUS_US) * count))
        });
        choices
            .filter(|(_, _, _, us)| (self.quickest_us..=longest_us).contains(us))
            .max_by_key(|(_, time, looked_us, _)| (*looked_us, *time))
            .map(|(average, time, _, us)| (average, time, us))
    }

    fn most_millihz(&self) -> u32 {
        let possible = CONVERSION_US.iter().map(|each| each + BUS_US).find(|us| *us >= self.quickest_us);
        1_000_000_000 / possible.unwrap_or(self.quickest_us).max(1)
    }
}

impl<I: I2c> Sensor for Ina226<I> {
    fn channels(&self) -> Vec<Channel, MAX_CHANNELS> {
        let channel = |quantity, scale_nano, label: &str| Channel {
            quantity,
            scale_nano,
            label: label.try_into().unwrap_or_default(),
        };
        [
            channel(Quantity::Voltage, BUS_SCALE_NANO, "VBUS"),
            channel(Quantity::Current, self.shunt.scale_nano(), "ISHUNT"),
        ]
        .into_iter()
        .collect()
    }

    fn rate_millihz(&self) -> u32 {
        // 1100 us of the shunt and 140 us of the bus.
        806_451.min(self.most_millihz())
    }

    fn begin(&mut self, rate_millihz: u32, now: u32) -> Result<Begun, SensorError> {
        let most_millihz = self.most_millihz();
        let (average, time, us) = self
            .choose(rate_millihz)
            .filter(|_| rate_millihz <= most_millihz)
            .ok_or(SensorError::Range { most_millihz })?;
        let found = self.read(MANUFACTURER)?;
        if found != TEXAS_INSTRUMENTS {
            return Err(SensorError::Stranger { found });
        }
        self.write(CALIBRATION, COUNTS_OF_THE_SHUNT)?;
        // Begins anew, whatever was under way.
        self.write(CONFIGURATION, CONTINUOUS | average << 9 | time << 3)?;
        let period = self.ticks(us);
        self.run = Some(Conversions { period, last: now, not_before: now.wrapping_add(period / 8 * 7) });
        Ok(Begun { first: now.wrapping_add(period / 2), rate_millihz: 1_000_000_000 / us })
    }

    fn poll(&mut self, now: u32) -> Result<Option<Sample>, SensorError> {
        let Some(Conversions { period, last, not_before }) = self.run else { return Ok(None) };
        if (now.wrapping_sub(not_before).cast_signed()) < 0 {
            return Ok(None);
        }
        // A bus that is silent is not asked at every turn.
        let later = Conversions { period, last, not_before: now.wrapping_add(period) };
        let run = self.run.replace(later);
        if self.read(MASK_ENABLE)? & CONVERSION_READY == 0 {
            self.run = run;
            return Ok(None);
        }
        let current = self.read(CURRENT)?.cast_signed();
        let volts = self.read(BUS_VOLTAGE)?;
        if matches!(current, i16::MAX | i16::MIN) {
            return Err(SensorError::Clipped);
        }
        // Its oscillator is within 10 %: so many samples have been ready since the last.
        let since = u64::from(now.wrapping_sub(last)) + u64::from(period / 2);
        let skipped = (since / u64::from(period.max(1))).saturating_sub(1) as u32;
        self.run = Some(Conversions { period, last: now, not_before: now.wrapping_add(period / 8 * 7) });
        Ok(Some(Sample {
            time: now.wrapping_sub(period / 2),
            skipped,
            values: [i32::from(volts), i32::from(current)].into_iter().collect(),
        }))
    }
}
