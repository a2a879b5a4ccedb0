//! Topics and pictures of studies that may stand side by side.

use maud::{Markup, PreEscaped, html};

use super::comparison::Member;
use super::{ReportError, counted, specimen, table};
use crate::findings::{Findings, Topic};
use crate::plot;

/// Tables of more rows are folded, and may be broken over sheets of paper.
const SHORT: usize = 20;
/// Tables of more rows are not printed: they would fill a dozen sheets each.
const PRINTED: usize = 400;

/// A part of the page, as the contents list it.
pub struct Part {
    /// Its anchor.
    pub id: String,
    /// Its heading.
    pub heading: String,
    /// What is in it.
    pub body: Markup,
}

/// A table or a figure of one study or of several beside each other.
struct Entry<'a> {
    id: String,
    title: &'a str,
    /// What is said above it, where all studies say the same.
    caption: Option<&'a str>,
    body: Markup,
    /// The most rows that a study's table has.
    rows: usize,
}

/// What one study has to say on a finding.
struct Side<'a> {
    member: Member<'a>,
    title: &'a str,
    caption: &'a str,
    body: Markup,
    rows: usize,
}

/// The parts of `group`; `apart` when other studies follow that they may not be compared with.
///
/// # Errors
/// When a figure or a picture cannot be drawn.
pub fn parts(group: &[Member<'_>], apart: bool) -> Result<Vec<Part>, ReportError> {
    let first = group.first().filter(|_| apart);
    let prefix = first.map_or(String::new(), Member::id);
    let heading =
        |heading: &str| first.map_or(heading.to_owned(), |one| format!("{}: {heading}", one.letter()));
    let mut parts = Vec::new();
    let titles = union(each(group).flat_map(|(_, findings)| &findings.topics).map(|topic| &*topic.title));
    for (number, title) in titles.into_iter().enumerate() {
        let id = format!("{prefix}topic{number}");
        let found = each(group).filter_map(|(member, findings)| {
            let topic = findings.topics.iter().find(|topic| topic.title == title)?;
            Some((member, topic))
        });
        let topics = Topics { id: &id, several: group.len() > 1, each: found.collect() };
        let body = topics.show()?;
        parts.push(Part { id, heading: heading(title), body });
    }
    if let Some(body) = pictures(group)? {
        parts.push(Part { id: format!("{prefix}pictures"), heading: heading("Pictures"), body });
    }
    Ok(parts)
}

fn each<'a>(group: &[Member<'a>]) -> impl Iterator<Item = (Member<'a>, &'a Findings)> {
    group.iter().map(|member| (*member, &member.study.stored.findings))
}

/// Names in the order of the first that has them.
fn union<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// One topic of all studies that have it.
struct Topics<'a, 'i> {
    id: &'i str,
    /// Whether studies stand beside each other.
    several: bool,
    each: Vec<(Member<'a>, &'a Topic)>,
}

impl<'a> Topics<'a, '_> {
    fn show(&self) -> Result<Markup, ReportError> {
        let first = union(self.each.iter().flat_map(|(_, topic)| &topic.figures).map(|figure| &*figure.name));
        let mut further =
            union(self.each.iter().flat_map(|(_, topic)| &topic.further).map(|figure| &*figure.name));
        further.retain(|name| !first.contains(name));
        let tables = union(self.each.iter().flat_map(|(_, topic)| &topic.tables).map(|table| &*table.name));
        let drawn = self.figures(&first)?;
        let more = further.len();
        let further = self.figures(&further)?;
        Ok(html! {
            (drawn)
            @if more > 0 {
                details.fold { summary { (counted(more, "more figure")) } (further) }
            }
            @for name in tables { (tabled(&self.table(name))) }
        })
    }

    /// Figures, what is said of neighbours said once.
    fn figures(&self, names: &[&str]) -> Result<Markup, ReportError> {
        let entries = names.iter().map(|name| self.figure(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(html! {
            @for same in entries.chunk_by(|a, b| a.caption.is_some() && a.caption == b.caption) {
                div.entry {
                    @if let Some(caption) = same.first().and_then(|entry| entry.caption) { p.caption { (caption) } }
                    div.figures[!self.several] {
                        @for entry in same { article #(entry.id) { h3 { (entry.title) } (entry.body) } }
                    }
                }
            }
        })
    }

    fn figure(&self, name: &str) -> Result<Entry<'a>, ReportError> {
        let mut sides = Vec::new();
        for (member, topic) in &self.each {
            let mut figures = topic.figures.iter().chain(&topic.further);
            let Some(found) = figures.find(|figure| figure.name == name) else { continue };
            let drawing = plot::element(found, &format!("plot-{}{name}", member.id()))?;
            let body = html! { div.drawing { (PreEscaped(drawing)) } };
            sides.push(Side { member: *member, title: &found.title, caption: &found.caption, body, rows: 0 });
        }
        Ok(self.entry(format!("{}-figure-{name}", self.id), sides))
    }

    fn table(&self, name: &str) -> Entry<'a> {
        let sides = self.each.iter().filter_map(|(member, topic)| {
            let found = topic.tables.iter().find(|table| table.name == name)?;
            let (title, caption, rows) = (&*found.title, &*found.caption, found.rows.len());
            Some(Side { member: *member, title, caption, body: table::table(found), rows })
        });
        self.entry(format!("{}-table-{name}", self.id), sides.collect())
    }

    /// One finding, of one study or of several beside each other.
    fn entry(&self, id: String, sides: Vec<Side<'a>>) -> Entry<'a> {
        let (title, caption) = sides.first().map_or(("", ""), |side| (side.title, side.caption));
        let shared = sides.iter().all(|side| side.caption == caption);
        let body = beside(&sides, self.several, shared);
        let rows = sides.iter().map(|side| side.rows).max().unwrap_or(0);
        Entry { id, title, caption: shared.then_some(caption), body, rows }
    }
}

/// What studies have to say, beside each other where they are several.
fn beside(sides: &[Side<'_>], several: bool, shared: bool) -> Markup {
    html! {
        @if several {
            div.beside {
                @for side in sides {
                    div {
                        p.side { strong { (side.member.letter()) } " " (side.member.study.folder) }
                        @if !shared { p.caption { (side.caption) } }
                        (side.body)
                    }
                }
            }
        } @else {
            @for side in sides { (side.body) }
        }
    }
}

fn tabled(entry: &Entry<'_>) -> Markup {
    let body = html! {
        @if let Some(caption) = entry.caption { p.caption { (caption) } }
        (entry.body)
    };
    html! {
        @if entry.rows > SHORT {
            details.fold .screen[entry.rows > PRINTED] #(entry.id) {
                summary {
                    h3 { (entry.title) } " " span.unit { (counted(entry.rows, "row")) }
                    @if entry.rows > PRINTED { span.unit.paper { ", not printed: the study's folder has them in tables/" } }
                }
                (body)
            }
        } @else {
            article.entry.whole #(entry.id) { h3 { (entry.title) } (body) }
        }
    }
}

fn pictures(group: &[Member<'_>]) -> Result<Option<Markup>, ReportError> {
    let mut sides = Vec::new();
    for (member, findings) in each(group).filter(|(_, findings)| !findings.specimens.is_empty()) {
        let body = specimen::grid(&findings.specimens, &member.id())?;
        sides.push(Side { member, title: "", caption: PICTURES, body, rows: 0 });
    }
    let shown = html! {
        p.caption { (PICTURES) }
        (beside(&sides, group.len() > 1, true))
    };
    Ok((!sides.is_empty()).then_some(shown))
}

const PICTURES: &str = "Images before and after. The difference is amplified about a middle grey by the factor that is \
                        written below it. Labels and exits are those of the original and, where others, of the stored \
                        image.";
