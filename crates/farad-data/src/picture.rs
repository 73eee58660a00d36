//! One PNG image as bytes.

use crate::DataError;
use crate::file::DEFLATE_MAX_RATIO;
use std::io::Cursor;
use std::path::Path;

/// A decoded image, `[height][width][channels]`.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) pixels: Vec<u8>,
}

/// Decodes a grey or red-green-blue image; palettes become colours, fewer than 8 bits become 8.
pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Picture, DataError> {
    let damaged = |e: png::DecodingError| DataError::malformed(path, e.to_string(), "a whole PNG image");
    let most = bytes.len().saturating_mul(DEFLATE_MAX_RATIO);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: most });
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let channels = match reader.output_color_type() {
        (png::ColorType::Grayscale, png::BitDepth::Eight) => 1,
        (png::ColorType::Rgb, png::BitDepth::Eight) => 3,
        (color, depth) => {
            return Err(DataError::malformed(
                path,
                format!("{color:?} of {} bits", depth as u8),
                "grey or red-green-blue of 8 bits or fewer, not transparent",
            ));
        }
    };
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    // The packed rows are what was deflated; a bit of them becomes three bytes at most (a palette of two colours).
    let fits = height.checked_mul(info.raw_row_length()).is_some_and(|raw| raw <= most);
    let Some(len) = reader.output_buffer_size().filter(|_| fits) else {
        return Err(DataError::malformed(
            path,
            format!("its header says {height}x{width} pixels"),
            format!("no more than the {most} bytes that the file can hold"),
        ));
    };
    let mut pixels = vec![0; len];
    reader.next_frame(&mut pixels).map_err(damaged)?;
    Ok(Picture {
        height,
        width,
        channels,
        pixels,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use png::{BitDepth, ColorType};
    use proptest::prelude::*;

    /// A PNG file around these compressed data, right or wrong, with right checksums of its chunks.
    fn around(size: (u32, u32), kind: (ColorType, BitDepth), idat: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
        encoder.set_color(kind.0);
        encoder.set_depth(kind.1);
        if kind.0 == ColorType::Indexed {
            encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, idat).unwrap();
        drop(writer);
        bytes
    }

    /// A PNG file of these rows, each with its filter byte 0.
    fn of_rows(size: (u32, u32), kind: (ColorType, BitDepth), rows: &[&[u8]]) -> Vec<u8> {
        let raw: Vec<u8> = rows.iter().flat_map(|row| [&[0], *row].concat()).collect();
        let mut encoder = flate2::read::ZlibEncoder::new(&raw[..], flate2::Compression::fast());
        let mut idat = Vec::new();
        std::io::Read::read_to_end(&mut encoder, &mut idat).unwrap();
        around(size, kind, &idat)
    }

    /// A grey PNG file two pixels wide.
    pub(crate) fn grey(rows: &[[u8; 2]]) -> Vec<u8> {
        let slices: Vec<&[u8]> = rows.iter().map(<[u8; 2]>::as_slice).collect();
        of_rows((2, rows.len() as u32), (ColorType::Grayscale, BitDepth::Eight), &slices)
    }

    #[test]
    fn colours_palettes_and_few_bits_become_bytes() {
        let read = |size, kind, rows: &[&[u8]]| {
            let picture = decode(Path::new("x.png"), &of_rows(size, kind, rows)).unwrap();
            assert_eq!((picture.width, picture.height), (size.0 as usize, size.1 as usize));
            (picture.channels, picture.pixels)
        };
        assert_eq!(
            read((1, 2), (ColorType::Grayscale, BitDepth::Eight), &[&[7], &[8]]),
            (1, vec![7, 8])
        );
        assert_eq!(
            read((1, 1), (ColorType::Rgb, BitDepth::Eight), &[&[7, 8, 9]]),
            (3, vec![7, 8, 9])
        );
        let palette = read((2, 1), (ColorType::Indexed, BitDepth::Eight), &[&[1, 0]]);
        assert_eq!(palette, (3, vec![40, 50, 60, 10, 20, 30]));
        let bits = read((3, 1), (ColorType::Grayscale, BitDepth::One), &[&[0b1010_0000]]);
        assert_eq!(bits, (1, vec![255, 0, 255]));
    }

    #[test]
    fn what_is_refused_and_why() {
        let error = |bytes: &[u8]| decode(Path::new("x.png"), bytes).unwrap_err().to_string();
        let whole = grey(&[[1, 2]]);
        assert!(error(&whole[..whole.len() / 2]).contains("expected a whole PNG image"));
        assert!(error(b"GIF89a").contains("expected a whole PNG image"));
        let rgba = of_rows((1, 1), (ColorType::Rgba, BitDepth::Eight), &[&[0; 4]]);
        assert!(error(&rgba).contains("Rgba of 8 bits"));
        let deep = of_rows((1, 1), (ColorType::Grayscale, BitDepth::Sixteen), &[&[0; 2]]);
        assert!(error(&deep).contains("Grayscale of 16 bits"));
        let huge = around((65_536, 65_536), (ColorType::Grayscale, BitDepth::Eight), &[0; 40]);
        assert!(
            error(&huge).contains("its header says 65536x65536 pixels"),
            "{}",
            error(&huge)
        );
    }

    proptest! {
        #[test]
        fn any_header_and_data_are_read_or_refused(
            (w, h) in (1_u32..40, 1_u32..40),
            color in prop::sample::select(vec![ColorType::Grayscale, ColorType::Rgb, ColorType::Indexed]),
            valid in any::<bool>(),
            data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let kind = (color, BitDepth::Eight);
            let bytes = if valid { of_rows((w, h), kind, &[&data]) } else { around((w, h), kind, &data) };
            if let Ok(picture) = decode(Path::new("x"), &bytes) {
                prop_assert_eq!((picture.width, picture.height), (w as usize, h as usize));
                prop_assert_eq!(picture.pixels.len(), picture.height * picture.width * picture.channels);
            }
        }

        #[test]
        fn any_damage_is_noticed_or_harmless(
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = grey(&[[1, 2], [3, 4]]);
            bytes.truncate(1 + cut.index(2 * bytes.len()));
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(picture) = decode(Path::new("x"), &bytes) {
                prop_assert_eq!(picture.pixels.len(), picture.height * picture.width * picture.channels);
            }
        }
    }
}
