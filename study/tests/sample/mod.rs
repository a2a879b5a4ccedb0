//! Findings with everything that findings may hold: all marks, axes and formats, long and hostile names, gaps, many rows.

use offramp_models::Sha256;
use offramp_runtime::meter::NotMeasured;
use offramp_runtime::report::{BackendName, BundleName};
use offramp_study::findings::{
    Axis, Cell, Column, Figure, Findings, Format, Mark, Provenance, Series, Specimen, Table, Topic,
};
use offramp_study::report::Stored;

/// A name that is markup, script and control character.
pub const HOSTILE: &str = "</text></svg><script>alert(\"x\")</script>&amp;'\u{1b}[31m http:evil";

const METHODS: [&str; 5] = ["fgsm", "pgd-10", "mi-fgsm", "early, improved", "deepsloth linf"];

pub fn provenance(networks: &[(&str, &str)], seed: u64) -> Provenance {
    let network =
        |(name, of): &(&str, &str)| BundleName { name: (*name).into(), identity: Sha256::of(of.as_bytes()) };
    Provenance {
        producer: "offramp 0.1.0".into(),
        machine: "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz, 2 cores, Linux 6.1.0 x86_64".into(),
        backend: BackendName { name: "ort".into(), provider: "cpu".into(), version: "1.32.0".into() },
        threads: Some(1),
        data: "shapes:test:1000".into(),
        data_sha256: Sha256::of(b"shapes"),
        seed,
        networks: networks.iter().map(network).collect(),
        not_measured: vec![
            NotMeasured::new(
                "energy_j",
                "no meter: pass --meter, `offramp meter list` shows what this machine has",
            ),
            NotMeasured::new(
                "transfer to resnet56-static",
                "its bundle has no gradient graph and its model is not at hand",
            ),
        ],
    }
}

/// A study of two networks.
pub fn stored(seed: u64) -> Stored {
    let networks = [("shapes-sdn", "one"), ("resnet56-cifar10-early-exits-7", "two")];
    Stored::new(provenance(&networks, seed), findings(seed))
}

pub fn findings(seed: u64) -> Findings {
    let (mut tables, mut figures) = (tables(seed), figures(seed));
    let others = tables.split_off(1);
    let further = figures.split_off(4);
    let (found, transfer) = others.split_at(others.len() - 7);
    let topic = |title: &str, figures, tables: &[Table]| Topic {
        title: title.into(),
        figures,
        further: Vec::new(),
        tables: tables.to_vec(),
    };
    Findings {
        summary: tables.pop(),
        topics: vec![
            Topic { further, ..topic("What was found", figures, found) },
            topic(HOSTILE, Vec::new(), transfer),
        ],
        specimens: specimens(),
    }
}

fn wave(index: usize, seed: u64) -> f64 {
    ((index as f64 + seed as f64 * 0.7) * 1.7).sin() * 0.5 + 0.5
}

fn column(name: &str, head: &str, format: Format, measured: bool) -> Column {
    Column { name: name.into(), head: head.into(), format, measured }
}

fn table(name: &str, title: &str, caption: &str, columns: Vec<Column>, rows: Vec<Vec<Cell>>) -> Table {
    Table { name: name.into(), title: title.into(), caption: caption.into(), columns, rows }
}

fn share(value: f64) -> Cell {
    Cell::Interval { value, ends: [value - 0.021, value + 0.021] }
}

fn tables(seed: u64) -> Vec<Table> {
    let energy = || Cell::NotMeasured("no meter on this machine".into());
    let mut tables = vec![
        table(
            "summary",
            "What the attacks did",
            "Accuracy and mean exit of the deployed policy on the quantised sets. Intervals are 95 % (Wilson for shares, \
             bootstrap over images for means).",
            vec![
                column("set", "Set", Format::Text, false),
                column("images", "Images", Format::Count, false),
                column("accuracy", "Accuracy", Format::Percent, false),
                column("mean_exit", "Mean exit", Format::Decimals(2), false),
                column("latency_s", "Latency, mean", Format::Seconds, true),
                column("energy_j", "Energy", Format::Joules, true),
            ],
            ["benign"]
                .iter()
                .chain(&METHODS)
                .enumerate()
                .map(|(index, set)| {
                    let exit = 1.0 + 3.0 * wave(index, seed);
                    vec![
                        Cell::Text((*set).into()),
                        Cell::Number(1017.0),
                        share(0.9 - 0.13 * index as f64),
                        Cell::Interval { value: exit, ends: [exit - 0.2, exit + 0.31] },
                        Cell::Number(0.004 + 0.009 * wave(index, seed)),
                        energy(),
                    ]
                })
                .collect(),
        ),
        table(
            "accuracy-per-exit",
            "Accuracy of every exit, before and after each attack, on the quantised images",
            "Every exit answers every image. epsilon 8/255, seed as in the environment.",
            std::iter::once(column("set", "Set", Format::Text, false))
                .chain(std::iter::once(column("surrogate", "Crafted on", Format::Text, false)))
                .chain((0..7).map(|exit| {
                    column(&format!("exit_{exit}"), &format!("Exit {exit}"), Format::Percent, false)
                }))
                .collect(),
            METHODS
                .iter()
                .enumerate()
                .map(|(row, set)| {
                    let mut cells =
                        vec![Cell::Text((*set).into()), Cell::Text("resnet56-cifar10-early-exits-7".into())];
                    cells.extend((0..7).map(|exit| share(0.2 + 0.1 * exit as f64 - 0.03 * row as f64)));
                    cells
                })
                .collect(),
        ),
        table(
            "pareto",
            "Policies on the Pareto front of accuracy and cost, by replay of recorded logits",
            "Replayed offline, then confirmed by running the chosen points; the prediction error is run minus replay.",
            vec![
                column("policy", "Policy", Format::Text, false),
                column("threshold", "Threshold", Format::Decimals(3), false),
                column("accuracy", "Accuracy", Format::Percent, false),
                column("macs_fraction", "MACs of full", Format::Percent, false),
                column("confirmed", "Confirmed accuracy", Format::Percent, true),
                column("macs", "MACs per image", Format::Count, false),
            ],
            (0..60)
                .map(|index| {
                    vec![
                        Cell::Text(["max-softmax", "entropy", "margin", "patience"][index % 4].into()),
                        Cell::Number(index as f64 / 60.0),
                        Cell::Number(0.6 + 0.3 * wave(index, seed)),
                        Cell::Number(index as f64 / 60.0),
                        if index % 7 == 0 {
                            Cell::Number(0.6 + 0.3 * wave(index, seed))
                        } else {
                            Cell::NotMeasured("only every seventh point was confirmed".into())
                        },
                        Cell::Number(125_485_706.0 * (index + 1) as f64 / 60.0),
                    ]
                })
                .collect(),
        ),
        table(
            "hostile",
            HOSTILE,
            HOSTILE,
            vec![
                column("name", HOSTILE, Format::Text, false),
                column("change", "Change", Format::Decimals(3), false),
            ],
            vec![
                vec![Cell::Text(HOSTILE.into()), Cell::Number(-0.125)],
                vec![Cell::Text("a".repeat(90)), Cell::NotMeasured(HOSTILE.into())],
            ],
        ),
        table(
            "empty",
            "A table without rows",
            "Nothing was found.",
            vec![column("set", "Set", Format::Text, false)],
            vec![],
        ),
    ];
    for index in 0..7 {
        tables.push(table(
            &format!("transfer-{index}"),
            &format!("Transfer, pair {index}: from the static twin to the early-exit network and back"),
            "Success of a set on the network that it was not crafted on.",
            vec![
                column("surrogate", "Crafted on", Format::Text, false),
                column("victim", "Attacked", Format::Text, false),
                column("success", "Success", Format::Percent, false),
                column("l2", "L2", Format::Decimals(3), false),
                column("time_s", "Time per image", Format::Seconds, true),
            ],
            (0..4)
                .map(|row| {
                    vec![
                        Cell::Text("shapes-sdn".into()),
                        Cell::Text(format!("shapes-static-{row}")),
                        share(wave(row + index, seed) * 0.9),
                        Cell::Number(wave(row, seed)),
                        Cell::Number(0.000_31),
                    ]
                })
                .collect(),
        ));
    }
    tables
}

fn axis(label: &str) -> Axis {
    Axis { label: label.into(), ends: None, categories: None, logarithmic: false }
}

fn figure(name: &str, title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Figure {
    let caption = "Densities are Gaussian kernels of the bandwidth of Silverman's rule; images wrong at every exit are left out.";
    Figure { name: name.into(), title: title.into(), caption: caption.into(), x, y, series }
}

fn series(name: &str, mark: Mark, points: impl Iterator<Item = [f64; 2]>) -> Series {
    Series { name: name.into(), mark, points: points.collect() }
}

fn figures(seed: u64) -> Vec<Figure> {
    let bell = |centre: f64, width: f64| {
        (0..200).map(move |index| {
            let x = -6.0 + index as f64 * 0.06;
            [x, (-((x - centre) / width).powi(2) / 2.0).exp() / width * 0.4]
        })
    };
    let exits = |count: usize| (0..count).map(|exit| format!("{exit}")).collect::<Vec<_>>();
    let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    vec![
        figure(
            "exit-change",
            "Change of the exit where an image stops (RQ2)",
            axis("exit of the adversarial image minus exit of the benign image"),
            axis("density"),
            vec![
                series("fgsm", Mark::Area, bell(0.5, 1.2)),
                series("pgd-10", Mark::Area, bell(-1.0, 0.7)),
                series("early attack, improved", Mark::Area, bell(2.6, 0.9)),
            ],
        ),
        figure(
            "accuracy-cost",
            "Accuracy against cost for every policy",
            Axis { ends: Some([0.0, 1.0]), ..axis("MACs spent, fraction of the whole network") },
            Axis { ends: Some([0.0, 1.0]), ..axis("accuracy") },
            ["max-softmax", "entropy", "margin", "patience", "benign, static twin"]
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    let drop = 0.09 * place as f64;
                    let at = move |index: usize| index as f64 / 12.0;
                    series(
                        name,
                        Mark::Line,
                        (1..=12).map(move |index| [at(index), 0.9 * at(index).powf(0.25) - drop]),
                    )
                })
                .collect(),
        ),
        figure(
            "first-flip",
            "First exit whose label flips (RQ3)",
            Axis { categories: Some(exits(7)), ..axis("exit") },
            axis("images"),
            METHODS
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    series(
                        name,
                        Mark::Bar,
                        (0..7).map(move |exit| [exit as f64, 20.0 + 130.0 * wave(exit * 3 + place, seed)]),
                    )
                })
                .collect(),
        ),
        figure(
            "alpha-sweep",
            "Early Attack: success over alpha",
            Axis { logarithmic: true, ..axis("alpha") },
            Axis { ends: Some([0.0, 1.0]), ..axis("success rate") },
            ["as coded", "as published", "improved"]
                .iter()
                .enumerate()
                .map(|(place, name)| {
                    let alphas = [0.001, 0.01, 0.1, 1.0, 20.0, 40.0];
                    series(
                        name,
                        Mark::Line,
                        alphas
                            .into_iter()
                            .enumerate()
                            .map(move |(at, alpha)| [alpha, 0.15 * at as f64 + 0.08 * place as f64]),
                    )
                })
                .collect(),
        ),
        figure(
            "norms",
            "Size of the perturbations",
            axis("L2"),
            axis("L∞"),
            (0..8)
                .map(|place| {
                    series(
                        &format!("network {place} with a name of some length"),
                        Mark::Point,
                        (0..40).map(move |index| {
                            [wave(index, place) * 3.0 + place as f64 * 0.3, wave(index * 5, place) * 0.05]
                        }),
                    )
                })
                .collect(),
        ),
        figure(
            "latency",
            "Latency by network",
            Axis {
                categories: named(&[
                    "shapes-sdn",
                    "shapes-sdn-static",
                    "resnet56-cifar10-early-exits-7",
                    "resnet56-cifar10-static",
                    "mobilenet-v2-tiny-imagenet-6-exits",
                    HOSTILE,
                ]),
                ..axis("network")
            },
            axis("latency, ms"),
            vec![
                series("benign", Mark::Bar, (0..6).map(|at| [at as f64, 3.0 + at as f64])),
                series(HOSTILE, Mark::Bar, (0..6).map(|at| [at as f64, 4.0 + 1.3 * at as f64])),
            ],
        ),
        figure(
            "nothing",
            "A figure without points",
            axis("x"),
            axis("y"),
            vec![series("empty", Mark::Line, std::iter::empty())],
        ),
        figure(
            "large",
            "Return on investment of every exit",
            axis("exit"),
            axis("MACs saved less MACs spent on the classifier, per image"),
            vec![series("benign", Mark::Line, (0..7).map(|exit| [exit as f64, 4e6 - 2.3e6 * exit as f64]))],
        ),
    ]
}

fn specimens() -> Vec<Specimen> {
    let picture = |index: usize, channels: usize, side: usize, change: bool| {
        let samples = move |bent: bool| -> Vec<u8> {
            let at = move |channel: usize, y: usize, x: usize| {
                let (dx, dy) = (x as f64 - side as f64 / 2.0, y as f64 - side as f64 / 2.0);
                let inside = dx.hypot(dy) < side as f64 * (0.2 + 0.03 * index as f64);
                let base = if inside {
                    60 + 60 * channel as i32
                } else {
                    210 - 20 * channel as i32 + (x + y) as i32 / 3
                };
                let noise = if bent { ((x * 7 + y * 13 + channel * 5) % 17) as i32 - 8 } else { 0 };
                (base + noise).clamp(0, 255) as u8
            };
            (0..channels)
                .flat_map(|c| (0..side).flat_map(move |y| (0..side).map(move |x| at(c, y, x))))
                .collect()
        };
        (samples(false), samples(change))
    };
    (0..8)
        .map(|index| {
            let (channels, side) = if index == 6 { (1, 28) } else { (3, 32) };
            let (benign, stored) = picture(index, channels, side, index != 3);
            Specimen {
                set: if index < 4 {
                    "early attack, improved, epsilon 8/255 on resnet56".into()
                } else {
                    HOSTILE.into()
                },
                index: index * 131,
                shape: [channels, side, side],
                benign,
                stored,
                exits: [index % 3, (index * 2) % 6],
                predicted: [
                    "circle".into(),
                    if index % 2 == 0 { "triangle".into() } else { "circle".into() },
                ],
                label: (index != 5).then(|| "circle".into()),
            }
        })
        .collect()
}
