//! What a board is set to, and what changed.

use offramp_meter::source::Host;
use offramp_meter::state::BoardState;

use crate::boards::{self, Board};

#[test]
fn a_zone_that_is_switched_off_is_absent_and_no_error() {
    let board = Board::new(boards::ORIN_NANO);
    let state = BoardState::read(&Host::at(board.sys()));
    assert_eq!(state.temperatures_c.len(), 1);
    assert_eq!(state.temperatures_c["thermal_zone0/cpu-thermal"], 48.25);
    assert_eq!(state.throttling["oc3_event_cnt"], 14);
    assert_eq!(state.clocks["devfreq/17000000.gpu"].max, Some(1_020_000_000));
}

#[test]
fn what_changed_is_told_and_only_some_of_it_spoils_a_window() {
    let board = Board::new(boards::ORIN_NANO);
    board.write("nvpmodel", "pmode:0000");
    let host = Host { power_mode: Some(board.path("nvpmodel")), ..Host::at(board.sys()) };
    let before = BoardState::read(&host);
    assert_eq!(BoardState::read(&host).changes_since(&before), []);
    board.write("class/thermal/thermal_zone0/temp", "61000");
    assert_eq!(BoardState::read(&host).changes_since(&before), [], "temperatures always change");
    board.write("nvpmodel", "pmode:0002");
    board.write("class/hwmon/hwmon2/oc1_event_cnt", "3");
    board.write("class/hwmon/hwmon2/oc3_event_cnt", "20");
    board.write("devices/system/cpu/cpufreq/policy0/scaling_min_freq", "1728000");
    let changes = BoardState::read(&host).changes_since(&before);
    let shown: Vec<_> = changes.iter().map(|change| format!("{change} {}", change.spoils())).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    power mode "pmode:0000" -> "pmode:0002" true
    cpufreq/policy0 729600..1728000 (schedutil) -> 1728000..1728000 (schedutil) true
    oc1_event_cnt went up by 3 true
    oc3_event_cnt went up by 6 false
    "#);
}

#[test]
fn a_machine_that_tells_nothing_has_an_empty_state() {
    assert_eq!(BoardState::read(&Host::at("/nonexistent")), BoardState::default());
}
