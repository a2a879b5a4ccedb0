//! What the INA226's driver says on the bus, against the data sheet's bytes.

use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use embedded_hal_mock::eh1::i2c::{Mock, Transaction};
use offramp_firmware::{Begun, Ina226, Sample, Sensor, SensorError, Shunt};
use offramp_wire::Quantity;

const ADDRESS: u8 = 0x40;
const TICK_HZ: u32 = 1_000_000;
/// Once 1100 us of the shunt, 140 us of the bus.
const CONFIGURATION: u16 = 0x4000 | 4 << 3 | 7;
const SHUNT: Shunt = Shunt { micro_ohm: 10_000 };

fn sensor(bus: &[Transaction]) -> Ina226<Mock> {
    Ina226::new(Mock::new(bus), ADDRESS, SHUNT, TICK_HZ, 400)
}

fn read(register: u8, value: u16) -> Transaction {
    Transaction::write_read(ADDRESS, vec![register], value.to_be_bytes().to_vec())
}

fn write(register: u8, value: u16) -> Transaction {
    let [high, low] = value.to_be_bytes();
    Transaction::write(ADDRESS, vec![register, high, low])
}

fn beginning(configuration: u16) -> Vec<Transaction> {
    vec![read(0xfe, 0x5449), write(0x05, 2048), write(0x00, configuration)]
}

/// What a sensor says without its bus.
fn untouched<T>(shunt: Shunt, ask: impl FnOnce(&mut Ina226<Mock>) -> T) -> T {
    let mut sensor = Ina226::new(Mock::new(&[]), ADDRESS, shunt, TICK_HZ, 400);
    let said = ask(&mut sensor);
    sensor.release().done();
    said
}

#[test]
fn a_count_of_current_is_a_count_of_the_converter() {
    let channels = untouched(SHUNT, |sensor| sensor.channels());
    assert_eq!((channels[0].quantity, channels[0].scale_nano), (Quantity::Voltage, 1_250_000));
    // 2.5 uV over 10 mOhm.
    assert_eq!((channels[1].quantity, channels[1].scale_nano), (Quantity::Current, 250_000));
    assert_eq!(Shunt { micro_ohm: 2_000 }.scale_nano(), 1_250_000);
    assert_eq!(Shunt { micro_ohm: 9_970 }.scale_nano(), 250_752);
    assert_eq!(Shunt { micro_ohm: 0 }.scale_nano(), 2_500_000_000, "no division by zero");
}

#[test]
fn a_rate_becomes_the_longest_look_at_the_shunt_that_gives_it() {
    // Rate asked for, configuration register, microseconds of a sample.
    let cases = [
        (806_451, 0x4000 | 4 << 3 | 7, 1240),
        (2_118_644, 0x4000 | 2 << 3 | 7, 472),
        // 4 times 332 us of the shunt are more than once 1100 us.
        (454_545, 0x4000 | 1 << 9 | 2 << 3 | 7, 1888),
        // 16 times 1100 us are more than 4 times 4156 us or 64 times 140 us.
        (50_000, 0x4000 | 2 << 9 | 4 << 3 | 7, 19_840),
        (1, 0x4000 | 7 << 9 | 7 << 3 | 7, 8_585_216),
    ];
    for (rate, configuration, us) in cases {
        let mut sensor = sensor(&beginning(configuration));
        let begun = sensor.begin(rate, 1000).unwrap();
        assert_eq!(begun, Begun { first: 1000 + us / 2, rate_millihz: 1_000_000_000 / us }, "rate {rate}");
        assert!(begun.rate_millihz >= rate || rate == 1);
        sensor.release().done();
    }
    let refused = untouched(SHUNT, |sensor| sensor.begin(2_200_000, 0));
    assert_eq!(refused, Err(SensorError::Range { most_millihz: 2_118_644 }));
    assert_eq!(untouched(SHUNT, |sensor| sensor.rate_millihz()), 806_451);
}

#[test]
fn a_sample_is_read_when_its_flag_is_set_and_stamped_in_its_middle() {
    let mut bus = beginning(CONFIGURATION);
    bus.extend([
        read(0x06, 0),
        read(0x06, 1 << 3),
        // -1 A, 12 V.
        read(0x04, (-4000_i16).cast_unsigned()),
        read(0x02, 9600),
    ]);
    let mut sensor = sensor(&bus);
    let start = u32::MAX - 500;
    sensor.begin(806_451, start).unwrap();
    let at = |us: u32| start.wrapping_add(us);
    assert_eq!(sensor.poll(at(1080)), Ok(None), "nobody asks before it can be there");
    assert_eq!(sensor.poll(at(1200)), Ok(None));
    let sample = sensor.poll(at(1250)).unwrap().unwrap();
    let values = [9600, -4000].into_iter().collect();
    assert_eq!(sample, Sample { time: at(1250 - 620), skipped: 0, values });
    assert_eq!(sensor.poll(at(1300)), Ok(None));
    sensor.release().done();
}

#[test]
fn a_reader_that_is_late_counts_what_it_missed() {
    let mut bus = beginning(CONFIGURATION);
    bus.extend([read(0x06, 1 << 3), read(0x04, 1), read(0x02, 2)]);
    let mut sensor = sensor(&bus);
    sensor.begin(806_451, 0).unwrap();
    assert_eq!(sensor.poll(4 * 1240 + 100).unwrap().unwrap().skipped, 3);
    sensor.release().done();
}

#[test]
fn a_bus_that_says_no_is_told_and_asked_again_a_sample_later() {
    let silent = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address);
    let mut bus = beginning(CONFIGURATION);
    bus.extend([read(0x06, 0).with_error(silent), read(0x06, 1 << 3), read(0x04, 5), read(0x02, 6)]);
    let mut sensor = sensor(&bus);
    sensor.begin(806_451, 0).unwrap();
    assert_eq!(sensor.poll(1250), Err(SensorError::Bus(silent)));
    assert_eq!(sensor.poll(1260), Ok(None));
    assert_eq!(sensor.poll(2490).unwrap().unwrap().skipped, 1);
    assert_eq!(SensorError::Bus(silent).code(), 3);
    sensor.release().done();
}

#[test]
fn what_is_no_ina226_and_what_is_beyond_the_shunt_is_refused() {
    let mut stranger = sensor(&[read(0xfe, 0x1234)]);
    assert_eq!(stranger.begin(806_451, 0), Err(SensorError::Stranger { found: 0x1234 }));
    stranger.release().done();
    for full in [i16::MAX, i16::MIN] {
        let mut bus = beginning(CONFIGURATION);
        bus.extend([read(0x06, 1 << 3), read(0x04, full.cast_unsigned()), read(0x02, 9600)]);
        let mut sensor = sensor(&bus);
        sensor.begin(806_451, 0).unwrap();
        assert_eq!(sensor.poll(1250), Err(SensorError::Clipped));
        sensor.release().done();
    }
}
