//! Little-endian fields, read and written one after another.

use heapless::{String, Vec};

/// Reads fields off the front of a payload; nothing where it ends too early.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// Text of at most `N` bytes.
    pub(crate) fn string<const N: usize>(&mut self) -> Option<String<N>> {
        let length = self.u8()?;
        let text = core::str::from_utf8(self.bytes(usize::from(length))?).ok()?;
        String::try_from(text).ok()
    }
}

/// Writes fields behind each other; nothing where there is no room.
pub(crate) struct Writer<'a, const N: usize>(pub(crate) &'a mut Vec<u8, N>);

impl<const N: usize> Writer<'_, N> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.0.extend_from_slice(bytes).ok()
    }

    pub(crate) fn u8(&mut self, value: u8) -> Option<()> {
        self.0.push(value).ok()
    }

    pub(crate) fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> Option<()> {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn string(&mut self, text: &str) -> Option<()> {
        self.u8(u8::try_from(text.len()).ok()?)?;
        self.bytes(text.as_bytes())
    }
}
