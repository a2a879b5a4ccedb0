//! What is found on which board.

use std::time::Duration;

use offramp_meter::probe::{Lost, Sample};
use offramp_meter::source::{self, Found, Host, Kind, Reason};
use offramp_meter::{Joules, MeterError, Watts};

use crate::boards::{self, Board};

fn row(found: &mut Found) -> Vec<Result<Sample, Lost>> {
    let mut row = vec![Err(Lost::Failed); found.description.rails.len()];
    found.probe.read(&mut row);
    row
}

fn find(board: &Board, kind: Kind) -> Result<Found, MeterError> {
    source::find(&Host::at(board.sys()), kind)
}

#[test]
fn every_jetson_tells_its_total_by_the_rule_of_the_board() {
    for (name, table, domain, microwatts) in boards::JETSONS {
        let board = Board::new(table);
        let mut found = find(&board, Kind::Ina).unwrap_or_else(|error| panic!("{name}: {error}"));
        let total = found.description.total.clone().unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(total.domain, domain, "{name}");
        let values = row(&mut found);
        let sum: i64 = found
            .description
            .rails
            .iter()
            .zip(&values)
            .filter(|(rail, _)| total.rails.contains(&rail.name))
            .map(|(_, value)| value.unwrap().value)
            .sum();
        assert_eq!(sum, microwatts, "{name}");
    }
}

#[test]
fn rails_that_are_not_connected_switched_off_or_sums_are_left_out() {
    let names = |table| {
        let found = find(&Board::new(table), Kind::Ina).unwrap();
        found.description.rails.into_iter().map(|rail| rail.name).collect::<Vec<_>>().join(" ")
    };
    insta::assert_snapshot!(names(boards::AGX_ORIN), @"VDD_GPU_SOC VDD_CPU_CV VIN_SYS_5V0 VDDQ_VDD2_1V8AO");
    insta::assert_snapshot!(names(boards::ORIN_NANO), @"VDD_IN VDD_CPU_GPU_CV VDD_SOC");
    insta::assert_snapshot!(names(boards::THOR), @"VIN");
}

#[test]
fn a_rail_within_another_cannot_be_added_to_it() {
    let mut found = find(&Board::new(boards::AGX_ORIN), Kind::Ina).unwrap();
    assert!(found.description.choose_total(&["VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]).is_err());
    found.description.choose_total(&["VDD_GPU_SOC", "VDD_CPU_CV"]).unwrap();
    assert_eq!(found.description.total.unwrap().domain, "VDD_GPU_SOC+VDD_CPU_CV");
}

#[test]
fn averaging_and_steps_are_those_of_the_driver() {
    let mut found = find(&Board::new(boards::ORIN_NANO), Kind::Ina).unwrap();
    assert_eq!(found.description.time_constant(), Some(Duration::from_millis(3379)));
    let update = found.description.update().unwrap().as_secs_f64();
    assert!((update - 0.0066).abs() < 1e-5, "{update}");
    // 40 uV over 5 mOhm are 8 mA: 8 mA x 4.96 V + 8 mV x 1.008 A.
    assert_eq!(row(&mut found)[0].unwrap().step, Some(47_744));
    let older = find(&Board::new(boards::NANO), Kind::Ina).unwrap().description;
    assert_eq!((older.time_constant(), older.update(), older.rails[0].step), (None, None, None));
}

#[test]
fn unknown_rails_make_no_total_but_a_list() {
    let board = Board::new(boards::ORIN_NANO);
    board.write("class/hwmon/hwmon1/in1_label", "VDD_NEW");
    let found = find(&board, Kind::Ina).unwrap();
    insta::assert_snapshot!(
        found.description.total.unwrap_err(),
        @"energy_j was not measured: no known board has these rails: VDD_NEW, VDD_CPU_GPU_CV, VDD_SOC"
    );
}

#[test]
fn a_raspberry_pi_without_a_meter_is_not_measured() {
    let board = Board::new(boards::RASPBERRY_PI_5);
    insta::assert_snapshot!(
        find(&board, Kind::Hwmon).unwrap_err(),
        @"energy_j was not measured: no sensor has power or energy: cpu_thermal, rp1_adc, rpi_volt"
    );
    let passed_over = source::choose(&Host::at(board.sys())).unwrap_err();
    let shown: Vec<_> = passed_over.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n").replace(board.sys().to_str().unwrap(), "/sys");
    insta::assert_snapshot!(shown, @r"
    ina: no shunt monitor in /sys/class/hwmon or /sys/bus/i2c/drivers/ina3221x
    hwmon: no sensor has power or energy: cpu_thermal, rp1_adc, rpi_volt
    nvml: NVML is not looked for beside a copied /sys
    rapl: /sys/class/powercap has no RAPL zones (no processor counters, or a virtual machine)
    ");
}

#[test]
fn rapl_adds_packages_and_neither_their_parts_nor_the_same_counters_again() {
    let mut found = find(&Board::new(boards::X86_SERVER), Kind::Rapl).unwrap();
    let names: Vec<_> = found.description.rails.iter().map(|rail| rail.name.as_str()).collect();
    assert_eq!(names, ["package-0", "package-0.core", "package-0.dram", "package-1"]);
    assert_eq!(found.description.total.as_ref().unwrap().domain, "package-0+package-1");
    assert!(found.description.choose_total(&["package-0", "package-0.core"]).is_err());
    assert_eq!(found.description.rails[0].counter_range, Some(Joules(262_143.328_85)));
    assert_eq!(row(&mut found)[3].unwrap().value, 1_000_000);
}

#[test]
fn the_platform_stands_for_its_packages() {
    let board = Board::new(boards::X86_SERVER);
    board.write("class/powercap/intel-rapl:2/name", "psys");
    board.write("class/powercap/intel-rapl:2/energy_uj", "1");
    let mut found = find(&board, Kind::Rapl).unwrap();
    assert_eq!(found.description.total.as_ref().unwrap().domain, "psys");
    assert!(found.description.choose_total(&["psys", "package-1"]).is_err());
}

#[test]
fn parts_are_found_in_nested_folders_too() {
    let board = Board::new(&[]);
    let place = "devices/virtual/powercap/intel-rapl";
    for (zone, name) in [("intel-rapl:0", "package-0"), ("intel-rapl:0/intel-rapl:0:0", "core")] {
        board.write(&format!("{place}/{zone}/name"), name);
        board.write(&format!("{place}/{zone}/energy_uj"), "5");
    }
    let found = find(&board, Kind::Rapl).unwrap();
    let within: Vec<_> = found.description.rails.iter().map(|rail| rail.within.as_deref()).collect();
    assert_eq!(within, [None, Some("package-0")]);
}

#[test]
fn a_power_meter_of_a_server_is_a_rail_without_a_rule() {
    let mut found = find(&Board::new(boards::X86_SERVER), Kind::Hwmon).unwrap();
    let rail = &found.description.rails[0];
    assert_eq!(
        (rail.name.as_str(), rail.time_constant),
        ("power_meter.power1", Some(Duration::from_secs(1)))
    );
    assert!(found.description.total.is_err());
    assert_eq!(row(&mut found)[0].unwrap().value, 212_000_000);
}

#[test]
fn an_energy_counter_is_preferred_to_the_power_of_its_channel() {
    let board = Board::new(&[
        ("class/hwmon/hwmon0/name", "ina228"),
        ("class/hwmon/hwmon0/power1_input", "1000"),
        ("class/hwmon/hwmon0/energy1_input", "123456"),
        ("class/hwmon/hwmon0/energy1_label", "VIN"),
    ]);
    let mut found = find(&board, Kind::Hwmon).unwrap();
    assert_eq!(found.description.rails.len(), 1);
    assert!(found.description.rails[0].origin.ends_with("energy1_input"));
    assert_eq!(row(&mut found)[0].unwrap().value, 123_456);
}

#[test]
fn auto_takes_the_source_with_a_total_and_says_why_not_the_others() {
    let board = Board::new(boards::X86_SERVER);
    let choice = source::choose(&Host::at(board.sys())).unwrap();
    assert_eq!(choice.kind, Kind::Rapl);
    assert!(choice.passed_over.iter().any(|other| matches!(other.why, Reason::NoTotal)));
    let board = Board::new(boards::ORIN_NANO);
    let choice = source::choose(&Host::at(board.sys())).unwrap();
    assert_eq!(choice.kind, Kind::Ina);
    let shown: Vec<_> = choice.passed_over.iter().map(ToString::to_string).collect();
    assert!(shown.contains(&"hwmon: it covers VDD_IN; choose it by name to use it".to_owned()), "{shown:?}");
}

#[test]
fn negative_power_within_the_sensors_offset_is_kept() {
    let board = Board::new(boards::ORIN_NANO);
    board.write("class/hwmon/hwmon1/curr2_input", "-8");
    let mut found = find(&board, Kind::Ina).unwrap();
    assert_eq!(row(&mut found)[1].unwrap().value, -39_680);
    assert!(found.description.rails[1].plausible[0] < Watts(-0.04));
}

/// Root reads everything: the right to do so is given up in one thread only.
#[cfg(target_os = "linux")]
#[test]
fn a_missing_right_is_an_error_with_path_reason_and_remedy() {
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

    let board = Board::new(boards::X86_SERVER);
    let counter = board.path("class/powercap/intel-rapl:0/energy_uj");
    std::fs::set_permissions(&counter, std::fs::Permissions::from_mode(0o000)).unwrap();
    let host = Host::at(board.sys());
    let asked = std::thread::spawn(move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, sets).unwrap();
        source::find(&host, Kind::Rapl)
    });
    let error = asked.join().unwrap().unwrap_err();
    let shown = |text: &str| text.replace(board.sys().to_str().unwrap(), "/sys");
    insta::assert_snapshot!(
        shown(&error.to_string()),
        @"no right to read meter source /sys/class/powercap/intel-rapl:0/energy_uj"
    );
    insta::assert_snapshot!(
        shown(error.remedy().unwrap()),
        @"sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
    );
    assert!(matches!(error, MeterError::NoRight { .. }));
}

#[test]
fn what_to_send_in_has_labels_shunts_and_averaging() {
    let board = Board::new(boards::ORIN_NANO);
    let sent = source::inventory(&Host::at(board.sys()));
    let shown =
        |name: &str| sent.iter().find(|(path, _)| path.ends_with(name)).map(|(_, text)| text.as_str());
    assert_eq!(shown("hwmon1/samples"), Some("512"));
    assert_eq!(shown("hwmon1/in1_label"), Some("VDD_IN"));
    assert_eq!(shown("hwmon1/shunt1_resistor"), Some("5000"));
    assert_eq!(shown("base/model"), Some("NVIDIA Jetson Orin Nano Developer Kit"));
}

#[test]
fn intervals_that_cannot_be_are_unknown() {
    let board = Board::new(boards::ORIN_NANO);
    for text in ["18446744073709551615", "0", "-5", "fast"] {
        board.write("class/hwmon/hwmon1/update_interval", text);
        let description = find(&board, Kind::Ina).unwrap().description;
        assert_eq!((description.time_constant(), description.update()), (None, None), "{text}");
        assert_eq!(description.needed_window(), Duration::from_secs(10));
    }
}

#[test]
fn a_rail_that_cannot_be_opened_is_left_out_and_noted_unless_it_is_the_only_one() {
    let board = Board::new(&[
        ("class/hwmon/hwmon0/name", "sensor"),
        ("class/hwmon/hwmon0/power1_input", "5000000"),
        ("class/hwmon/hwmon1/name", "locked"),
    ]);
    // No file: as little to be read as one without the right.
    std::fs::create_dir(board.path("class/hwmon/hwmon1/power1_input")).unwrap();
    let found = find(&board, Kind::Hwmon).unwrap();
    assert_eq!(found.description.rails.len(), 1);
    let notes = found.description.notes.join("\n");
    assert!(notes.starts_with("locked.power1 is left out: "), "{notes}");
    std::fs::remove_dir_all(board.path("class/hwmon/hwmon0")).unwrap();
    assert!(matches!(find(&board, Kind::Hwmon), Err(MeterError::Source { .. })));
}

#[test]
fn a_platform_counter_that_stands_still_beside_packages_is_no_total() {
    let board = Board::new(&[
        ("class/powercap/intel-rapl:0/name", "package-0"),
        ("class/powercap/intel-rapl:0/energy_uj", "1000000"),
        ("class/powercap/intel-rapl:1/name", "psys"),
        ("class/powercap/intel-rapl:1/energy_uj", "77"),
    ]);
    let domain = || find(&board, Kind::Rapl).unwrap().description.total.unwrap().domain;
    assert_eq!(domain(), "psys", "nothing moves, nothing is known");
    let path = board.path("class/powercap/intel-rapl:0/energy_uj");
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in 1_000_000.. {
                if ended.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                std::fs::write(&path, format!("{value}\n")).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let found = find(&board, Kind::Rapl).unwrap().description;
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(found.total.unwrap().domain, "package-0");
        assert!(found.notes.iter().any(|note| note.contains("psys stands still")), "{:?}", found.notes);
    });
}
