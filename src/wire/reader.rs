//! Octets read from front to back, never past their end.

/// A cursor over octets. A read that does not fit takes nothing.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the front.
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    /// Whether all was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octets.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next octets, as many as the type says.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// The next type and value, in a list whose length octets count themselves and the type.
    pub(super) fn attribute(&mut self) -> Option<(u8, &'a [u8])> {
        let mut ahead = self.clone();
        let [kind, length] = ahead.array()?;
        let value = ahead.take(usize::from(length).checked_sub(2)?)?;
        *self = ahead;
        Some((kind, value))
    }
}

/// The attributes of a list, up to its end or the first that does not fit.
#[derive(Clone)]
pub(super) struct Attributes<'a>(Reader<'a>);

impl<'a> Attributes<'a> {
    /// Those of a list that may be malformed: nothing after the fault is seen.
    pub(super) fn new(list: &'a [u8]) -> Self {
        Self(Reader::new(list))
    }

    /// The values of one type.
    pub(super) fn of(self, kind: u8) -> impl Iterator<Item = &'a [u8]> {
        self.filter(move |(found, _)| *found == kind)
            .map(|(_, value)| value)
    }

    /// Whether the list is a list to its last octet.
    pub(super) fn is_whole(&self) -> bool {
        let mut ahead = self.clone();
        ahead.by_ref().for_each(drop);
        ahead.0.is_empty()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.attribute()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_takes_nothing_that_does_not_fit() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.take(4), None);
        assert_eq!(reader.array::<2>(), Some([1, 2]));
        assert_eq!(reader.array::<2>(), None);
        assert_eq!(reader.rest(), [3]);
    }

    #[test]
    fn list_ends_at_its_first_fault() {
        for list in [
            &[7, 3, b'a', 8][..],
            &[7, 3, b'a', 8, 0],
            &[7, 3, b'a', 8, 1],
            &[7, 3, b'a', 8, 4, 0],
        ] {
            let attributes = Attributes::new(list);
            assert!(!attributes.is_whole(), "{list:?}");
            assert_eq!(attributes.collect::<Vec<_>>(), [(7, &b"a"[..])]);
        }
        assert!(Attributes::new(&[7, 3, b'a', 8, 2]).is_whole());
    }
}
