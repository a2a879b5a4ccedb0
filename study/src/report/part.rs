//! Figures, tables and pictures of studies that may stand side by side.

use maud::{Markup, html};

use super::comparison::Member;
use super::{ReportError, SUMMARY, figure, specimen, table};
use crate::findings::Findings;

/// Tables of at most this many rows stay on one sheet of paper.
const SHEET: usize = 25;

/// A part of the page, as the contents list it.
pub struct Part {
    /// Its anchor.
    pub id: String,
    /// Its heading.
    pub heading: String,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// A table, a figure or the pictures.
pub struct Entry {
    /// Its anchor.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// Caption and contents.
    pub body: Markup,
    /// Whether it stays on one sheet of paper.
    pub whole: bool,
}

/// What one study has to say on a finding.
struct Side<'a> {
    member: Member<'a>,
    title: &'a str,
    caption: &'a str,
    body: Markup,
    whole: bool,
}

/// The parts of `group`; `apart` when other studies follow that they may not be compared with.
///
/// # Errors
/// When a figure or a picture cannot be drawn.
pub fn parts(group: &[Member<'_>], apart: bool) -> Result<Vec<Part>, ReportError> {
    let first = group.first().filter(|_| apart);
    let prefix = first.map_or(String::new(), Member::id);
    let part = |id: &str, heading: &str, entries: Vec<Entry>| Part {
        id: format!("{prefix}{id}"),
        heading: first.map_or(heading.to_owned(), |member| format!("{}: {heading}", member.letter())),
        entries,
    };
    let mut parts = vec![
        part("figures", "Figures", figures(group, &prefix)?),
        part("tables", "Tables", tables(group, &prefix)),
        part("pictures", "Pictures", pictures(group, &prefix)?),
    ];
    parts.retain(|part| !part.entries.is_empty());
    Ok(parts)
}

fn figures(group: &[Member<'_>], prefix: &str) -> Result<Vec<Entry>, ReportError> {
    let mut entries = Vec::new();
    for name in union(group, |findings| findings.figures.iter().map(|figure| figure.name.as_str()).collect())
    {
        let mut sides = Vec::new();
        for (member, findings) in each(group) {
            if let Some(found) = findings.figures.iter().find(|figure| figure.name == name) {
                let body = figure::figure(found, &format!("plot-{}{name}", member.id()))?;
                let (title, caption) = (&found.title, &found.caption);
                sides.push(Side { member, title, caption, body, whole: true });
            }
        }
        entries.extend(entry(format!("{prefix}figure-{name}"), group.len(), sides));
    }
    Ok(entries)
}

fn tables(group: &[Member<'_>], prefix: &str) -> Vec<Entry> {
    let names = union(group, |findings| findings.tables.iter().map(|table| table.name.as_str()).collect());
    let of = |name: &str| {
        let sides = each(group).filter_map(|(member, findings)| {
            let found = findings.tables.iter().find(|table| table.name == name)?;
            let (body, whole) = (table::table(found), found.rows.len() <= SHEET);
            Some(Side { member, title: &found.title, caption: &found.caption, body, whole })
        });
        entry(format!("{prefix}table-{name}"), group.len(), sides.collect())
    };
    names.into_iter().filter(|name| *name != SUMMARY).filter_map(of).collect()
}

fn pictures(group: &[Member<'_>], prefix: &str) -> Result<Vec<Entry>, ReportError> {
    let caption = "The difference is amplified about a middle grey by the factor that is written below it. Labels and \
                   exits are those of the original and, where others, of the stored image.";
    let mut sides = Vec::new();
    for (member, findings) in each(group).filter(|(_, findings)| !findings.specimens.is_empty()) {
        let body = specimen::grid(&findings.specimens)?;
        sides.push(Side { member, title: "Images before and after", caption, body, whole: false });
    }
    Ok(entry(format!("{prefix}images"), group.len(), sides).into_iter().collect())
}

fn each<'a>(group: &[Member<'a>]) -> impl Iterator<Item = (Member<'a>, &'a Findings)> {
    group.iter().map(|member| (*member, &member.study.stored.findings))
}

/// One finding, of one study or of several beside each other; nothing where no study has it.
fn entry(id: String, studies: usize, sides: Vec<Side<'_>>) -> Option<Entry> {
    let Side { title, caption, .. } = *sides.first()?;
    let shared = sides.iter().all(|side| side.caption == caption);
    let body = html! {
        @if shared { p.caption { (caption) } }
        @if studies > 1 {
            div.beside {
                @for side in &sides {
                    div {
                        p.side { strong { (side.member.letter()) } " " (side.member.study.folder) }
                        @if !shared { p.caption { (side.caption) } }
                        (side.body)
                    }
                }
            }
        } @else {
            @for side in &sides { (side.body) }
        }
    };
    Some(Entry { id, title: title.to_owned(), body, whole: sides.iter().all(|side| side.whole) })
}

/// The names that any study has, in the order of the first that has them.
fn union<'a>(group: &[Member<'a>], of: impl Fn(&'a Findings) -> Vec<&'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in each(group).flat_map(|(_, findings)| of(findings)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
