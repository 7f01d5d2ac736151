//! Reads fields from a frame, one after the other. Never past its end.

use super::RefusedFrame;

/// What is left of a frame. Octet order is little-endian, as Bluetooth sends (GATT Specification Supplement, 2.2).
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the frame's beginning.
    #[must_use]
    pub const fn new(frame: &'a [u8]) -> Self {
        Self { rest: frame }
    }

    /// The next `N` octets.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]: so many are not left.
    pub fn octets<const N: usize>(&mut self) -> Result<[u8; N], RefusedFrame> {
        let (octets, rest) = self.rest.split_first_chunk::<N>().ok_or(RefusedFrame::Length)?;
        self.rest = rest;
        Ok(*octets)
    }

    /// An octet.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn u8(&mut self) -> Result<u8, RefusedFrame> {
        self.octets().map(|[octet]: [u8; 1]| octet)
    }

    /// A signed octet.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn i8(&mut self) -> Result<i8, RefusedFrame> {
        self.octets().map(i8::from_le_bytes)
    }

    /// Two octets.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn u16(&mut self) -> Result<u16, RefusedFrame> {
        self.octets().map(u16::from_le_bytes)
    }

    /// Two octets, signed.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn i16(&mut self) -> Result<i16, RefusedFrame> {
        self.octets().map(i16::from_le_bytes)
    }

    /// Three octets.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn u24(&mut self) -> Result<u32, RefusedFrame> {
        self.octets().map(|[low, middle, high]| u32::from_le_bytes([low, middle, high, 0]))
    }

    /// Four octets.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`]
    pub fn u32(&mut self) -> Result<u32, RefusedFrame> {
        self.octets().map(u32::from_le_bytes)
    }

    /// A field that is there if its flag says so.
    ///
    /// # Errors
    /// [`RefusedFrame::Length`], or what `read` says.
    pub fn when<T>(
        &mut self,
        flag: bool,
        read: impl FnOnce(&mut Self) -> Result<T, RefusedFrame>,
    ) -> Result<Option<T>, RefusedFrame> {
        if flag { read(self).map(Some) } else { Ok(None) }
    }

    /// What has not been read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_order_and_never_past_the_end() {
        let mut cursor = Cursor::new(&[1, 2, 3, 0xFF, 0xFF, 4, 5, 6, 7]);
        assert_eq!((cursor.u8(), cursor.u16(), cursor.i16()), (Ok(1), Ok(0x0302), Ok(-1)));
        assert_eq!(cursor.u24(), Ok(0x0006_0504));
        assert_eq!(cursor.when(false, Cursor::u32), Ok(None));
        assert_eq!(cursor.when(true, Cursor::u32), Err(RefusedFrame::Length));
        assert_eq!(cursor.rest(), [7], "a field that is not whole is not taken");
        assert_eq!((cursor.u8(), cursor.u8()), (Ok(7), Err(RefusedFrame::Length)));
    }
}
