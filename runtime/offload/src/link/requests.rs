//! Where requests begin in what a client sends.

/// What an HTTP/2 connection begins with. Source: RFC 9113, 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes before a frame's payload: its length (24 bits), type, flags and stream. Source: RFC 9113, 4.1.
const HEAD: usize = 9;
/// The type of the frame that opens a stream. Source: RFC 9113, 6.2.
const HEADERS: u8 = 1;

/// Finds HTTP/2 requests in a client's bytes, however they are cut up. Anything else has none.
#[derive(Debug)]
pub(super) struct Requests {
    state: State,
    head: [u8; HEAD],
}

#[derive(Debug)]
enum State {
    /// So much of the preface has been seen.
    Preface(usize),
    /// So much of a frame's head has been seen.
    Head(usize),
    /// So much of a frame's payload is to come.
    Payload(usize),
    /// Not HTTP/2, or inside TLS.
    Other,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { state: State::Preface(0), head: [0; HEAD] }
    }

    /// Goes on to behind `bytes`, or to behind the head of the first request in them: how many bytes that are, and whether a
    /// request has begun.
    pub(super) fn next(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self.state {
                State::Preface(seen) => {
                    let due = &PREFACE[seen..];
                    let common = due.len().min(rest.len());
                    if due[..common] != rest[..common] {
                        self.state = State::Other;
                        continue;
                    }
                    at += common;
                    self.state =
                        if common == due.len() { State::Head(0) } else { State::Preface(seen + common) };
                }
                State::Head(seen) => {
                    let part = (HEAD - seen).min(rest.len());
                    self.head[seen..seen + part].copy_from_slice(&rest[..part]);
                    at += part;
                    if seen + part < HEAD {
                        self.state = State::Head(seen + part);
                        continue;
                    }
                    let [a, b, c, kind, ..] = self.head;
                    self.state = match u32::from_be_bytes([0, a, b, c]) as usize {
                        0 => State::Head(0),
                        length => State::Payload(length),
                    };
                    if kind == HEADERS {
                        return (at, true);
                    }
                }
                State::Payload(left) => {
                    let part = left.min(rest.len());
                    at += part;
                    self.state = if part == left { State::Head(0) } else { State::Payload(left - part) };
                }
                State::Other => return (bytes.len(), false),
            }
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD + length, HEADERS);
        frame
    }

    fn count(chunks: &[&[u8]]) -> usize {
        let mut requests = Requests::new();
        let mut found = 0;
        for chunk in chunks {
            let mut rest = *chunk;
            while !rest.is_empty() {
                let (passed, began) = requests.next(rest);
                found += usize::from(began);
                rest = &rest[passed..];
            }
        }
        found
    }

    #[test]
    fn what_is_not_http2_has_no_requests() {
        assert_eq!(count(&[b"GET / HTTP/1.1\r\n\r\n", &frame(HEADERS, 3)]), 0);
        assert_eq!(count(&[&[22, 3, 1, 2, 0]]), 0);
    }

    proptest! {
        #[test]
        fn requests_are_found_wherever_the_bytes_are_cut(
            frames in prop::collection::vec((0..10_u8, 0..40_usize), 0..12),
            cuts in prop::collection::vec(0..600_usize, 0..8),
        ) {
            let mut stream = PREFACE.to_vec();
            frames.iter().for_each(|(kind, length)| stream.extend(frame(*kind, *length)));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            let expected = frames.iter().filter(|(kind, _)| *kind == HEADERS).count();
            prop_assert_eq!(count(&chunks), expected);
        }

        #[test]
        fn no_bytes_stop_the_process(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let stream = [PREFACE, &bytes].concat();
            count(&[&stream]);
        }
    }
}
