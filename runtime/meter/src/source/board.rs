//! Which rails of which board make up its total, as data.

use crate::{NotMeasured, Rail, TotalRule};

/// What is known of the boards that have these rails.
struct Board {
    name: &'static str,
    /// All of these labels must be there.
    labels: &'static [&'static str],
    /// None of these may be.
    without: &'static [&'static str],
    /// These are added.
    sum: &'static [&'static str],
    domain: &'static str,
    /// Parts and the rails they lie within.
    within: &'static [(&'static str, &'static str)],
    source: &'static str,
    note: Option<&'static str>,
}

const CARRIER: &str = "the carrier board is not measured";

const BOARDS: [Board; 5] = [
    Board {
        name: "Jetson AGX Orin",
        labels: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
        without: &["VDD_IN"],
        sum: &["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"],
        domain: "module_sum(VDD_GPU_SOC+VDD_CPU_CV+VIN_SYS_5V0)",
        within: &[("VDDQ_VDD2_1V8AO", "VIN_SYS_5V0")],
        source: "derived: no input rail; tegrastats of JetPack 7 prints these three, and the step of VDDQ_VDD2_1V8AO \
                 shows its shunt on the 5 V supply",
        note: Some(CARRIER),
    },
    Board {
        name: "Jetson AGX Xavier",
        labels: &["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
        without: &["VDD_IN"],
        sum: &["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"],
        domain: "module_sum(GPU+CPU+SOC+CV+VDDRQ+SYS5V)",
        within: &[],
        source: "NVIDIA developer forum 81016, quoted in jetson_stats issue 51: no input rail, all are added",
        note: Some(CARRIER),
    },
    Board {
        name: "Jetson Nano",
        labels: &["POM_5V_IN"],
        without: &[],
        sum: &["POM_5V_IN"],
        domain: "POM_5V_IN",
        within: &[("POM_5V_GPU", "POM_5V_IN"), ("POM_5V_CPU", "POM_5V_IN")],
        source: "NVIDIA developer forum 73608, quoted in jetson_stats issue 51",
        note: None,
    },
    Board {
        name: "Jetson TX2, Xavier NX, Orin NX or Orin Nano",
        labels: &["VDD_IN"],
        without: &[],
        sum: &["VDD_IN"],
        domain: "VDD_IN",
        within: &[
            ("VDD_CPU_GPU_CV", "VDD_IN"),
            ("VDD_CPU", "VDD_IN"),
            ("VDD_GPU", "VDD_IN"),
            ("VDD_SOC", "VDD_IN"),
            ("VDD_WIFI", "VDD_IN"),
            ("VDD_DDR", "VDD_IN"),
        ],
        source: "NVIDIA developer forum 200883 (VDD_IN is the total power of the module); jetson_stats issue 51",
        note: Some(CARRIER),
    },
    Board {
        name: "Jetson AGX Thor",
        labels: &["VIN"],
        without: &[],
        sum: &["VIN"],
        domain: "VIN",
        within: &[],
        source: "jetson_stats pull request 900; NVIDIA developer forum 366461",
        note: Some("the carrier board and what hangs on it are included"),
    },
];

/// Makes names unique, marks what lies within what, and finds the total.
///
/// Two boards that fit, or a label that is there twice, make no total: a wrong one is worse than none.
pub(super) fn settle(rails: &mut [Rail], notes: &mut Vec<String>) -> Result<TotalRule, NotMeasured> {
    let twins = tell_apart(rails);
    let has = |label: &&str| rails.iter().any(|rail| rail.name == **label);
    let fits = |board: &&Board| board.labels.iter().all(has) && !board.without.iter().any(has);
    let fitting: Vec<_> = BOARDS.iter().filter(fits).collect();
    let names = || rails.iter().map(|rail| rail.name.as_str()).collect::<Vec<_>>().join(", ");
    let board = match fitting.as_slice() {
        [board] => board,
        [] => return Err(NotMeasured::energy(format!("no known board has these rails: {}", names()))),
        several => {
            let boards: Vec<_> = several.iter().map(|board| board.name).collect();
            let why = format!("rails of several boards ({}): {}", boards.join("; "), names());
            return Err(NotMeasured::energy(why));
        }
    };
    if let Some(label) = board.sum.iter().find(|label| twins.iter().any(|twin| twin == *label)) {
        return Err(NotMeasured::energy(format!("there is more than one rail {label}")));
    }
    for (part, whole) in board.within {
        if let Some(rail) = rails.iter_mut().find(|rail| rail.name == *part) {
            rail.within = Some((*whole).to_owned());
        }
    }
    notes.push(format!("board: {}", board.name));
    notes.extend(board.note.map(str::to_owned));
    let rule = TotalRule::sum_of(board.sum, rails, board.source);
    rule.map(|rule| rule.called(board.domain)).map_err(|error| NotMeasured::energy(error.to_string()))
}

/// Numbers rails of one name; gives the names that were there more than once.
pub(super) fn tell_apart(rails: &mut [Rail]) -> Vec<String> {
    let names: Vec<_> = rails.iter().map(|rail| rail.name.clone()).collect();
    let mut twins = Vec::new();
    for (at, rail) in rails.iter_mut().enumerate() {
        let before = names[..at].iter().filter(|name| **name == names[at]).count();
        if before > 0 {
            rail.name = format!("{}#{}", rail.name, before + 1);
            twins.push(names[at].clone());
        }
    }
    twins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quantity;

    fn rails(labels: &[&str]) -> Vec<Rail> {
        labels.iter().map(|label| Rail::new(*label, "", Quantity::Power)).collect()
    }

    #[test]
    fn every_rule_adds_only_rails_that_do_not_overlap() {
        for board in &BOARDS {
            let inside = board.within.iter().map(|(part, _)| *part);
            let mut rails = rails(&[board.labels.to_vec(), inside.collect()].concat());
            let rule = settle(&mut rails, &mut Vec::new()).unwrap();
            assert_eq!(rule.rails, board.sum, "{}", board.name);
            for (part, whole) in board.within {
                let names = [board.sum, &[part]].concat();
                assert!(TotalRule::sum_of(&names, &rails, "").is_err(), "{}: {part} + {whole}", board.name);
            }
            assert!(!board.source.is_empty());
        }
    }

    #[test]
    fn unknown_twin_and_mixed_rails_have_no_total() {
        let refused = |labels: &[&str]| settle(&mut rails(labels), &mut Vec::new()).unwrap_err().why;
        insta::assert_snapshot!(refused(&["CVB_ATX_12V", "CVB_ATX_5V"]), @"no known board has these rails: CVB_ATX_12V, CVB_ATX_5V");
        insta::assert_snapshot!(refused(&["VDD_IN", "VDD_IN"]), @"there is more than one rail VDD_IN");
        insta::assert_snapshot!(
            refused(&["VDD_IN", "VIN"]),
            @"rails of several boards (Jetson TX2, Xavier NX, Orin NX or Orin Nano; Jetson AGX Thor): VDD_IN, VIN"
        );
    }

    #[test]
    fn a_part_is_no_total() {
        assert!(settle(&mut rails(&["VDD_CPU_GPU_CV", "VDD_SOC"]), &mut Vec::new()).is_err());
        assert!(settle(&mut rails(&["VDD_GPU_SOC", "VDD_CPU_CV"]), &mut Vec::new()).is_err());
    }
}
