//! Text whose font is the reader's: widths are estimated, generously.

/// Estimated width of `text` in units of the font's size `size`.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| share(c) * size).sum()
}

fn share(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '\'' | '!' => 0.34,
        'f' | 'r' | 't' | ' ' | '(' | ')' | '-' | '\u{202f}' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.95,
        'A'..='Z' | '_' => 0.72,
        c if c.is_ascii() => 0.6,
        c if c < '\u{2e80}' => 0.68,
        _ => 1.0,
    }
}

/// `text` cut so that it is at most `room` wide; what was cut shows as an ellipsis.
pub fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut left = room - size;
    let kept = text.chars().take_while(|c| {
        left -= share(*c) * size;
        left >= 0.0
    });
    let mut cut = kept.collect::<String>().trim_end().to_owned();
    cut.push('…');
    cut
}

/// `text` cut in its middle so that it is at most `room` wide: names of one family differ at their ends.
pub fn squeeze(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let half = (room - size) / 2.0;
    let kept = |characters: &mut dyn Iterator<Item = char>| -> String {
        let mut left = half;
        let fits = |c: &char| {
            left -= share(*c) * size;
            left >= 0.0
        };
        characters.take_while(fits).collect()
    };
    let (head, tail) = (kept(&mut text.chars()), kept(&mut text.chars().rev()));
    format!("{head}…{}", tail.chars().rev().collect::<String>())
}

/// `text` broken between words into lines that fit into `room`, where its words do.
pub fn lines(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_inclusive([' ', '-', '_', '/', '+', ',']) {
        match lines.last_mut() {
            Some(line) if width(&format!("{line}{word}"), size) <= room => line.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// `text` as XML character data or attribute value; characters that no XML document may hold are replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(legal(c)),
        }
    }
    escaped
}

/// `c`, or the replacement character where neither XML nor HTML may hold it, and where it would turn the words around it.
pub fn legal(c: char) -> char {
    let illegal = (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if illegal { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_fits_and_says_that_it_was_cut() {
        let name = "a-network-with-a-name-that-nobody-would-print";
        let short = cut(name, 12.0, 100.0);
        assert!(width(&short, 12.0) <= 100.0 && short.ends_with('…'), "{short}");
        assert_eq!(cut("short", 12.0, 100.0), "short");
        let [one, two] = ["exits", "static"].map(|end| squeeze(&format!("{name}-{end}"), 12.0, 120.0));
        assert!(width(&one, 12.0) <= 120.0 && one != two, "{one} {two}");
    }

    #[test]
    fn text_breaks_between_words() {
        assert_eq!(lines("early attack improved", 10.0, 60.0), ["early", "attack", "improved"]);
    }

    #[test]
    fn markup_and_control_characters_cannot_leave_the_text() {
        assert_eq!(escape("</text><script>\"&\u{0}"), "&lt;/text&gt;&lt;script&gt;&quot;&amp;\u{fffd}");
        assert_eq!(escape("\u{202e}tpircs\u{2066}"), "\u{fffd}tpircs\u{fffd}");
    }
}
