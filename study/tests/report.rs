//! Reports and plots as their readers get them: whole, self-contained, and proof against what is in files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod sample;

use std::path::Path;

use offramp_study::findings::{Axis, Cell, Figure, Findings, MOST_SERIES, Mark, Series, Table};
use offramp_study::plot;
use offramp_study::report::{self, Fault, ReportError, Stored, StoredError, Study};
use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};
use sample::HOSTILE;

fn study(folder: &str, stored: Stored) -> Study {
    Study { folder: folder.into(), stored }
}

/// `html` as the XML that it is but for elements that HTML never closes.
fn closed(html: &str) -> String {
    let mut xml = String::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        let end = tag.find('>').unwrap();
        let (tag, after) = tag.split_at(end);
        let open = ["<meta ", "<wbr"].iter().any(|name| tag.starts_with(name));
        let tag = tag.replace("<details open", "<details open=\"\"");
        xml.extend([before, &tag, if open { "/>" } else { ">" }]);
        rest = &after[1..];
    }
    xml + rest
}

fn parsed(xml: &str) -> Document<'_> {
    Document::parse_with_options(xml, ParsingOptions::default()).unwrap_or_else(|error| {
        let line = xml.lines().nth(error.pos().row as usize - 1).unwrap_or_default();
        let around: String =
            line.chars().skip((error.pos().col as usize).saturating_sub(120)).take(240).collect();
        panic!("{error}: {around}")
    })
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn all<'a, 'i>(document: &'a Document<'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    document.descendants().filter(move |node| node.has_tag_name(name) || node.tag_name().name() == name)
}

fn class(node: &Node<'_, '_>, name: &str) -> bool {
    node.attribute("class").is_some_and(|classes| classes.split(' ').any(|class| class == name))
}

/// What XML makes of [`HOSTILE`].
fn shown() -> String {
    HOSTILE.replace('\u{1b}', "\u{fffd}")
}

#[test]
fn every_table_figure_and_picture_is_in_the_report() {
    let stored = sample::stored(0);
    let findings = stored.findings.clone();
    let (tables, figures): (Vec<_>, Vec<_>) = (findings.tables().collect(), findings.figures().collect());
    let html = report::html(&[study("runs/one", stored)]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    let headings: Vec<String> = all(&document, "h3").map(text).collect();
    for title in tables.iter().map(|table| &table.title).chain(figures.iter().map(|figure| &figure.title)) {
        assert!(headings.contains(&title.replace('\u{1b}', "\u{fffd}")), "{title} is not in {headings:?}");
    }
    let rows: usize = tables.iter().map(|table| table.rows.len().max(1) + 1).sum();
    let found = all(&document, "table").filter(|table| !class(table, "environment")).map(|table| {
        let lines = table.descendants().filter(|node| node.has_tag_name("tr") && !class(node, "group"));
        lines.count()
    });
    assert_eq!(found.sum::<usize>(), rows);
    let svg = |name| all(&document, "svg").filter(move |node| class(node, name));
    assert_eq!(svg("plot").filter(|node| node.has_attribute("viewBox")).count(), figures.len());
    assert_eq!(svg("picture").count(), 3 * findings.specimens.len());
    assert!(all(&document, "code").any(|code| text(code).len() == 64), "digests are whole");
}

#[test]
fn a_report_needs_nothing_from_elsewhere() {
    let html = report::html(&[study("runs/one", sample::stored(0))]).unwrap();
    let xml = closed(&html);
    for node in parsed(&xml).descendants() {
        assert!(!["script", "link", "iframe", "object"].contains(&node.tag_name().name()), "{node:?}");
        for attribute in node.attributes() {
            let value = attribute.value();
            let inside = match attribute.name() {
                "href" => value.starts_with('#') || value.starts_with("data:image/png;base64,"),
                "src" => false,
                name => !name.starts_with("on"),
            };
            assert!(inside, "{}={value}", attribute.name());
        }
    }
    assert!(!html.contains("@import") && !html.contains("://fonts"));
    let addresses = html.match_indices("http").filter(|(at, _)| !html[*at..].starts_with("http:evil"));
    for (at, _) in addresses {
        assert!(html[..at].ends_with("xmlns=\""), "{}", &html[at..at + 40]);
    }
}

#[test]
fn ids_are_unique_and_every_reference_has_its_target() {
    let html = report::html(&[study("a", sample::stored(0)), study("b", sample::stored(1))]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    let ids: Vec<&str> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let known: std::collections::HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(known.len(), ids.len());
    for node in document.descendants() {
        for attribute in node.attributes() {
            let value = attribute.value();
            let targets: Vec<&str> = match attribute.name() {
                "href" => value.strip_prefix('#').into_iter().collect(),
                "aria-labelledby" => value.split(' ').collect(),
                "fill" | "clip-path" => value
                    .strip_prefix("url(#")
                    .and_then(|value| value.strip_suffix(')'))
                    .into_iter()
                    .collect(),
                _ => continue,
            };
            for target in targets {
                assert!(known.contains(target), "{}={value}", attribute.name());
            }
        }
    }
}

#[test]
fn hostile_names_are_shown_and_never_obeyed() {
    let html = report::html(&[study(HOSTILE, sample::stored(0))]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    assert!(all(&document, "h3").any(|heading| text(heading) == shown()));
    assert!(all(&document, "td").any(|cell| text(cell) == shown()));
    assert!(!html.contains('\u{1b}'));
}

#[test]
fn every_figure_is_an_image_of_its_own_with_words_for_who_cannot_see_it() {
    for figure in sample::findings(0).figures() {
        let svg = plot::svg(figure).unwrap();
        let document = parsed(&svg);
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let words =
            |name: &str| root.children().find(|node| node.tag_name().name() == name).map(text).unwrap();
        assert_eq!(words("title"), figure.title);
        assert!(words("desc").contains(&figure.caption), "{}", figure.name);
        let marks = root.descendants().filter(|node| node.has_attribute("clip-path"));
        let marks = marks.flat_map(|group| group.children().filter(Node::is_element).collect::<Vec<_>>());
        assert_eq!(marks.count() == 0, figure.name == "nothing", "{}", figure.name);
    }
}

#[test]
fn nothing_is_drawn_outside_a_figure() {
    for figure in sample::findings(0).figures() {
        for svg in [plot::element(figure, "x").unwrap(), plot::svg(figure).unwrap()] {
            let document = parsed(&svg);
            let view: Vec<f64> = numbers(document.root_element().attribute("viewBox").unwrap());
            let (width, height) = (view[2], view[3]);
            for node in document.descendants().filter(|node| node.has_attribute("x") && !class(node, "bar")) {
                let [x, y] = ["x", "y"].map(|name| node.attribute(name).unwrap().parse::<f64>().unwrap());
                let inside = (-2.0..=width).contains(&x) && (-2.0..=height).contains(&y);
                assert!(inside, "{}: {x} {y} in {width} {height}", figure.name);
            }
        }
    }
}

fn numbers(list: &str) -> Vec<f64> {
    list.split(' ').map(|number| number.parse().unwrap()).collect()
}

fn axes() -> impl Strategy<Value = Axis> {
    let names = prop::collection::vec(".{0,40}", 0..60);
    let ends = prop::option::of([prop::num::f64::ANY, prop::num::f64::ANY]);
    (".{0,200}", ends, prop::option::weighted(0.3, names), any::<bool>())
        .prop_map(|(label, ends, categories, logarithmic)| Axis { label, ends, categories, logarithmic })
}

fn drawings() -> impl Strategy<Value = Figure> {
    let mark = prop::sample::select(vec![Mark::Line, Mark::Area, Mark::Point, Mark::Bar]);
    let number = prop_oneof![prop::num::f64::ANY, -10.0..10.0_f64];
    let points = prop::collection::vec([number.clone(), number], 0..50);
    let series = (".{0,80}", mark, points).prop_map(|(name, mark, points)| Series { name, mark, points });
    (".{0,80}", ".{0,80}", axes(), axes(), prop::collection::vec(series, 0..20)).prop_map(
        |(title, caption, x, y, series)| Figure { name: "any".into(), title, caption, x, y, series },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_a_figure_holds_its_drawing_is_well_formed(figure in drawings()) {
        let svg = plot::svg(&figure).unwrap();
        let document = parsed(&svg);
        for value in document.descendants().flat_map(|node| node.attributes()) {
            prop_assert!(!value.value().contains("NaN") && !value.value().contains("inf"), "{}", value.value());
        }
    }
}

#[test]
fn what_was_not_measured_says_so_and_why() {
    let stored = sample::stored(0);
    let html = report::html(&[study("runs/one", stored.clone())]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    // What no row has is said once below its table; other gaps are marks with the number of a reason.
    let mut expected = 0;
    for table in stored.findings.tables() {
        let absent = |row: &Vec<Cell>, at: usize| matches!(row[at], Cell::NotMeasured(_));
        let columns = (0..table.columns.len()).filter(|at| !table.rows.iter().all(|row| absent(row, *at)));
        expected += columns.map(|at| table.rows.iter().filter(|row| absent(row, at)).count()).sum::<usize>();
    }
    let shown = all(&document, "td").filter(|cell| text(*cell).starts_with('–')).count();
    assert_eq!(shown, expected);
    let reasons: Vec<String> = all(&document, "li").map(text).collect();
    assert!(reasons.contains(&"only every seventh point was confirmed".into()));
    let energy = "Not measured in any row: Energy. Reason: no meter on this machine.";
    assert!(all(&document, "p").any(|note| text(note) == energy));
    for absent in stored.provenance.not_measured {
        assert!(all(&document, "dd").any(|node| text(node) == absent.why), "{}", absent.why);
    }
}

#[test]
fn studies_of_the_same_networks_and_data_stand_side_by_side() {
    let html = report::html(&[study("a", sample::stored(0)), study("b", sample::stored(1))]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    let beside = all(&document, "div").filter(|node| class(node, "beside"));
    let figures = sample::findings(0).figures().count();
    let tables = sample::findings(0).tables().count() - 1;
    assert_eq!(beside.count(), figures + tables + 1);
    assert_eq!(all(&document, "p").filter(|node| class(node, "warning")).count(), 0);
    let differs = all(&document, "th").filter(|node| text(*node).ends_with("differs")).map(text);
    assert_eq!(differs.collect::<Vec<_>>(), ["Seed differs"]);
}

#[test]
fn studies_of_different_networks_are_kept_apart_and_said_to_be() {
    let other = Stored::new(sample::provenance(&[("shapes-sdn", "another")], 0), sample::findings(3));
    let html = report::html(&[study("a", sample::stored(0)), study("b", other)]).unwrap();
    let xml = closed(&html);
    let document = parsed(&xml);
    let warnings: Vec<String> = all(&document, "p").filter(|node| class(node, "warning")).map(text).collect();
    assert!(
        warnings[0].starts_with("These studies are of different networks (A: shapes-sdn, "),
        "{warnings:?}"
    );
    assert!(warnings[1].starts_with("“shapes-sdn” is the name of different networks here: "), "{warnings:?}");
    assert!(!all(&document, "div").any(|node| class(&node, "beside")));
    assert!(all(&document, "h2").any(|node| text(node) == "B: What was found"));
}

#[test]
fn the_same_findings_do_not_confirm_themselves() {
    let twice = [study("a", sample::stored(0)), study("b", sample::stored(0))];
    let error = report::html(&twice).unwrap_err();
    assert!(matches!(error, ReportError::Twice { .. }));
    assert_eq!(error.to_string(), "a and b hold the same findings");
    assert_eq!(
        report::html(&[]).unwrap_err().to_string(),
        "a report needs the findings of at least one study"
    );
}

#[test]
fn findings_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let stored = sample::stored(5);
    stored.write(folder.path()).unwrap();
    assert_eq!(Stored::read(folder.path()).unwrap(), stored);
}

#[test]
fn findings_that_cannot_be_read_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let error = Stored::read(path).unwrap_err();
        (error.to_string().replace(path.to_str().unwrap(), "DIR"), error)
    };
    let (message, _) = said(folder.path());
    assert_eq!(
        message,
        "DIR has neither findings.json of a study that is finished nor bench.json or offload.json of a bench"
    );

    sample::stored(0).write(folder.path()).unwrap();
    let file = folder.path().join(report::FILE);
    let whole = std::fs::read_to_string(&file).unwrap();
    let now = |text: &str| {
        std::fs::write(&file, text).unwrap();
        said(folder.path())
    };
    assert_eq!(
        now(&whole[..whole.len() / 2]).0,
        "DIR/findings.json ends in the middle of line 1: half-written"
    );
    assert_eq!(now("").0, "DIR/findings.json ends in the middle of line 1: half-written");
    let old = whole.replacen("\"schema_version\":2", "\"schema_version\":1", 1);
    assert_eq!(now(&old).0, "DIR/findings.json has schema version 1, this build reads 2");
    for foreign in ["{\"answer\": 42}", "[]", "no JSON", "\"1\""] {
        let (message, error) = now(foreign);
        assert_eq!(
            message, "DIR/findings.json does not hold what it should in schema version 2",
            "{foreign}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}

type Change = fn(&mut Findings);

fn summary(findings: &mut Findings) -> &mut Table {
    findings.summary.as_mut().unwrap()
}

#[test]
fn findings_that_nobody_could_show_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let fault = |change: Change| {
        let mut stored = sample::stored(0);
        change(&mut stored.findings);
        match stored.write(folder.path()).unwrap_err() {
            StoredError::Fault { source, .. } => source,
            error => panic!("{error}"),
        }
    };
    let cases: [(Change, &str); 8] = [
        (
            |findings| findings.topics[0].tables[0].name = "../etc".into(),
            "\"../etc\" is not a name of lower-case letters, digits and -",
        ),
        (
            |findings| findings.topics[0].figures[1].name = findings.topics[0].figures[0].name.clone(),
            "\"exit-change\" is there twice",
        ),
        (|findings| findings.topics[1].title = "What was found".into(), "\"What was found\" is there twice"),
        (
            |findings| {
                let series = &mut findings.topics[0].figures[0].series;
                series.extend(std::iter::repeat_n(series[0].clone(), MOST_SERIES));
            },
            "figure \"exit-change\" has 11 series, expected at most 8",
        ),
        (
            |findings| summary(findings).rows[2].truncate(1),
            "row 2 of table \"summary\" has 1 cells, expected 6",
        ),
        (
            |findings| summary(findings).rows[0][1] = Cell::Number(f64::NAN),
            "summary has the number NaN, expected a magnitude of at most 1e150",
        ),
        (
            |findings| findings.topics[0].figures[0].series[0].points[3][1] = f64::INFINITY,
            "exit-change has the number inf, expected a magnitude of at most 1e150",
        ),
        (
            |findings| findings.specimens[0].stored.truncate(7),
            "picture 0 of set \"early attack, improved, epsilon 8/255 on resnet56\" has 7 samples, expected \
             Some(3072) for its shape [3, 32, 32]",
        ),
    ];
    for (change, message) in cases {
        let fault: Fault = fault(change);
        assert_eq!(fault.to_string(), message);
    }
    assert!(!folder.path().join(report::FILE).exists());
}

#[test]
fn a_report_appears_whole_or_not_at_all() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("report.html");
    let written = report::write(&[study("runs/one", sample::stored(0))], &file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), written.bytes as u64);
    assert_eq!((written.tables, written.figures, written.specimens), (12, 8, 8));
    let error =
        report::write(&[study("runs/one", sample::stored(0))], &folder.join("absent/x.html")).unwrap_err();
    assert!(matches!(error, ReportError::Write { .. }));

    // Left in `target/tmp/report` for people to look at, with `offramp report`.
    for (name, stored) in [
        ("one", sample::stored(0)),
        ("two", sample::stored(1)),
        ("other", Stored::new(sample::provenance(&[("shapes-sdn", "another")], 0), sample::findings(3))),
    ] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        stored.write(&folder.join(name)).unwrap();
    }
    for figure in sample::findings(0).figures() {
        std::fs::write(folder.join(format!("{}.svg", figure.name)), plot::svg(figure).unwrap()).unwrap();
    }
}
