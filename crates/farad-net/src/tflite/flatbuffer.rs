//! A bounds-checked reader of flatbuffer tables.
//!
//! Format: <https://flatbuffers.dev/internals/>. Every offset is checked against the file, so damaged bytes give an error
//! that names the byte, never a panic and never more memory than the file holds.

use crate::error::NetError;

/// The file.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(&'a [u8]);

/// One table.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    bytes: Bytes<'a>,
    at: usize,
    vtable: usize,
    vtable_len: usize,
}

/// A vector of elements of a fixed size.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    bytes: Bytes<'a>,
    first: usize,
    pub(crate) len: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The root table.
    pub(crate) fn root(self) -> Result<Table<'a>, NetError> {
        let at = self.follow(0)?;
        self.table(at)
    }

    fn get<const N: usize>(self, at: usize) -> Result<[u8; N], NetError> {
        let end = at.checked_add(N).ok_or(NetError::Malformed {
            offset: at,
            what: "an offset",
        })?;
        let bytes = self.0.get(at..end).and_then(|b| b.try_into().ok());
        bytes.ok_or(NetError::Malformed {
            offset: at,
            what: "a value beyond the end of the file",
        })
    }

    fn u16(self, at: usize) -> Result<u16, NetError> {
        Ok(u16::from_le_bytes(self.get(at)?))
    }

    fn u32(self, at: usize) -> Result<u32, NetError> {
        Ok(u32::from_le_bytes(self.get(at)?))
    }

    /// The target of the unsigned offset at `at`.
    fn follow(self, at: usize) -> Result<usize, NetError> {
        let target = at + self.u32(at)? as usize;
        if target >= self.0.len() {
            return Err(NetError::Malformed {
                offset: at,
                what: "an offset beyond the end of the file",
            });
        }
        Ok(target)
    }

    fn table(self, at: usize) -> Result<Table<'a>, NetError> {
        let back = i64::from(i32::from_le_bytes(self.get(at)?));
        let vtable = usize::try_from(at as i64 - back);
        let vtable = vtable.map_err(|_| NetError::Malformed {
            offset: at,
            what: "a table without a vtable",
        })?;
        let vtable_len = usize::from(self.u16(vtable)?);
        Ok(Table {
            bytes: self,
            at,
            vtable,
            vtable_len,
        })
    }

    fn vector(self, at: usize, element: usize) -> Result<Vector<'a>, NetError> {
        let len = self.u32(at)? as usize;
        let first = at + 4;
        let fits = len
            .checked_mul(element)
            .and_then(|n| n.checked_add(first))
            .is_some_and(|end| end <= self.0.len());
        if !fits {
            return Err(NetError::Malformed {
                offset: at,
                what: "a vector longer than the file",
            });
        }
        Ok(Vector {
            bytes: self,
            first,
            len,
        })
    }
}

impl<'a> Table<'a> {
    /// Where field `index` lies, if the writer stored it.
    fn field(&self, index: usize) -> Result<Option<usize>, NetError> {
        let entry = 4 + 2 * index;
        if entry + 2 > self.vtable_len {
            return Ok(None);
        }
        let offset = usize::from(self.bytes.u16(self.vtable + entry)?);
        Ok((offset != 0).then(|| self.at + offset))
    }

    pub(crate) fn i8(&self, index: usize, default: i8) -> Result<i8, NetError> {
        self.field(index)?
            .map_or(Ok(default), |at| Ok(i8::from_le_bytes(self.bytes.get(at)?)))
    }

    pub(crate) fn bool(&self, index: usize) -> Result<bool, NetError> {
        Ok(self.i8(index, 0)? != 0)
    }

    pub(crate) fn i32(&self, index: usize, default: i32) -> Result<i32, NetError> {
        self.field(index)?
            .map_or(Ok(default), |at| Ok(i32::from_le_bytes(self.bytes.get(at)?)))
    }

    pub(crate) fn u32(&self, index: usize) -> Result<u32, NetError> {
        self.field(index)?.map_or(Ok(0), |at| self.bytes.u32(at))
    }

    pub(crate) fn f32(&self, index: usize, default: f32) -> Result<f32, NetError> {
        self.field(index)?
            .map_or(Ok(default), |at| Ok(f32::from_le_bytes(self.bytes.get(at)?)))
    }

    pub(crate) fn table(&self, index: usize) -> Result<Option<Table<'a>>, NetError> {
        self.field(index)?
            .map(|at| self.bytes.table(self.bytes.follow(at)?))
            .transpose()
    }

    /// A vector of `element`-byte values; empty when absent.
    pub(crate) fn vector(&self, index: usize, element: usize) -> Result<Vector<'a>, NetError> {
        match self.field(index)? {
            Some(at) => self.bytes.vector(self.bytes.follow(at)?, element),
            None => Ok(Vector {
                bytes: self.bytes,
                first: 0,
                len: 0,
            }),
        }
    }

    pub(crate) fn string(&self, index: usize) -> Result<String, NetError> {
        Ok(String::from_utf8_lossy(self.vector(index, 1)?.raw(1)).into_owned())
    }
}

impl<'a> Vector<'a> {
    /// The bytes of `element`-byte elements; the length was checked when the vector was found.
    pub(crate) fn raw(&self, element: usize) -> &'a [u8] {
        self.bytes
            .0
            .get(self.first..self.first + self.len * element)
            .unwrap_or_default()
    }

    pub(crate) fn i32s(&self) -> Vec<i32> {
        self.raw(4)
            .as_chunks()
            .0
            .iter()
            .map(|&b| i32::from_le_bytes(b))
            .collect()
    }

    pub(crate) fn f32s(&self) -> Vec<f32> {
        self.raw(4)
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect()
    }

    pub(crate) fn i64s(&self) -> Vec<i64> {
        self.raw(8)
            .as_chunks()
            .0
            .iter()
            .map(|&b| i64::from_le_bytes(b))
            .collect()
    }

    /// Table `i` of a vector of offsets.
    pub(crate) fn table(&self, i: usize) -> Result<Table<'a>, NetError> {
        if i >= self.len {
            return Err(NetError::Malformed {
                offset: self.first,
                what: "an index beyond the end of its vector",
            });
        }
        self.bytes.table(self.bytes.follow(self.first + 4 * i)?)
    }
}
