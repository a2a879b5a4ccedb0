//! The page: headline, contents, what was not measured, figures, tables, pictures, environment.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use offramp_runtime::meter::NotMeasured;

use super::comparison::{self, Member};
use super::part::{self, Part};
use super::{ReportError, Study, counted, environment, table};
use crate::plot;

/// The page on `studies`.
///
/// # Errors
/// When a figure or a picture cannot be drawn.
pub fn page(studies: &[Study]) -> Result<Markup, ReportError> {
    let members = comparison::members(studies);
    let groups = comparison::groups(&members);
    let mut parts = Vec::new();
    for group in &groups {
        parts.extend(part::parts(group, groups.len() > 1)?);
    }
    let headline = headline(&members);
    Ok(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (headline) " · offramp report" }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(plot::rules())) }
            }
            body {
                (PreEscaped(plot::definitions()))
                header {
                    p.kicker { "offramp report" }
                    h1 { (headline) }
                }
                div.columns {
                    (contents(&parts))
                    main {
                        (summary(&members))
                        (not_measured(&members))
                        @for part in &parts { (section(part)) }
                        (environment::environment(&members))
                    }
                }
            }
        }
    })
}

fn headline(members: &[Member<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for network in members.iter().flat_map(|one| &one.study.stored.provenance.networks) {
        if !names.contains(&network.name.as_str()) {
            names.push(&network.name);
        }
    }
    if names.is_empty() { "A study of no network".into() } else { names.join(", ") }
}

fn contents(parts: &[Part]) -> Markup {
    html! {
        nav aria-label="Contents" {
            details open {
                summary { "Contents" }
                ul {
                    li { a href="#summary" { "Summary" } }
                    li { a href="#not-measured" { "Not measured" } }
                    @for part in parts {
                        li { a href={ "#" (part.id) } { (part.heading) } }
                    }
                    li { a href="#environment" { "Environment" } }
                }
            }
        }
    }
}

fn summary(members: &[Member<'_>]) -> Markup {
    let several = members.len() > 1;
    html! {
        section #summary {
            h2 { "Summary" }
            @for warning in comparison::warnings(members) { p.warning role="note" { (warning) } }
            @for member in members {
                @let provenance = &member.study.stored.provenance;
                @let findings = &member.study.stored.findings;
                @if several { h3.study { (member.letter()) ": " (member.networks()) } }
                dl.facts {
                    @if several { div { dt { "Folder" } dd { (environment::path(&member.study.folder)) } } }
                    @else { div { dt { "Networks" } dd { (member.networks()) } } }
                    div { dt { "Data" } dd { (provenance.data) } }
                    div { dt { "Backend" } dd {
                        (provenance.backend.name) " " (provenance.backend.version) ", " (provenance.backend.provider)
                    } }
                    div { dt { "Machine" } dd { (provenance.machine) } }
                    div { dt { "Seed" } dd { (provenance.seed) } }
                    div { dt { "Here" } dd {
                        (counted(findings.figures().count(), "figure")) ", "
                        (counted(findings.tables().count(), "table")) ", "
                        (counted(findings.specimens.len(), "picture"))
                    } }
                }
                @if let Some(first) = &findings.summary {
                    div.entry {
                        h3 { (first.title) }
                        p.caption { (first.caption) }
                        (table::table(first))
                    }
                }
            }
        }
    }
}

fn not_measured(members: &[Member<'_>]) -> Markup {
    // Once for all studies that lack the same.
    let mut missing: Vec<(Vec<String>, &[NotMeasured])> = Vec::new();
    for member in members {
        let lacks = member.study.stored.provenance.not_measured.as_slice();
        match missing.iter_mut().find(|(_, same)| *same == lacks) {
            Some((letters, _)) => letters.push(member.letter()),
            None => missing.push((vec![member.letter()], lacks)),
        }
    }
    html! {
        section #not-measured {
            h2 { "Not measured" }
            @for (letters, missing) in missing {
                @if members.len() > 1 { h3.study { (letters.join(", ")) } }
                @if missing.is_empty() { p { "Everything that was asked for was measured." } }
                @else {
                    dl.missing {
                        @for one in missing { div { dt { (one.what) } dd { (one.why) } } }
                    }
                }
            }
        }
    }
}

fn section(part: &Part) -> Markup {
    html! {
        section #(part.id) {
            h2 { (part.heading) }
            (part.body)
        }
    }
}
