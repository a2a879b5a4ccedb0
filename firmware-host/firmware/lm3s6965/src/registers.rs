//! Registers and words of memory that are not Rust's.

/// A 32-bit word at a fixed address, read and written as often as the code says.
#[derive(Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    /// # Safety
    /// The address is one of the chip's registers, or RAM that the linker does not give away, and a multiple of 4.
    pub(crate) const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: whoever made the register vouches for the address; any 32 bits are a u32.
        unsafe { (self.0 as *const u32).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: whoever made the register vouches for the address, and no Rust object lies there.
        unsafe { (self.0 as *mut u32).write_volatile(value) }
    }

    pub(crate) fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }
}
