//! One file from an address: resumed where an earlier attempt ended, and never there under its name before it is whole.

use super::error::FetchError;
use super::published::File;
use super::{Progress, md5_of};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

/// How long a server may take to be there, and to begin its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fetches `base/FILE` into `dir`. What has come is in `FILE.part` until its checksum is right.
pub(super) fn download(
    file: &File,
    base: &str,
    dir: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), FetchError> {
    let url = format!("{}/{}", base.trim_end_matches('/'), file.name);
    let part = part_of(&dir.join(file.name));
    let here = fs::metadata(&part).map_or(0, |m| m.len());
    let (response, done) = ask(&url, here)?;
    receive(response, &url, file, &part, done, progress)?;
    let found = md5_of(&part)?;
    if found != file.md5 {
        fs::remove_file(&part).map_err(FetchError::io(&part))?;
        return Err(FetchError::Checksum {
            url,
            found,
            expected: file.md5,
        });
    }
    fs::rename(&part, dir.join(file.name)).map_err(FetchError::io(&part))
}

/// The file beside `path` that holds what there is of it.
pub(super) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The answer to a request for all after the first `here` bytes, and how many of these it builds on: a server that does
/// not know ranges, or has no more to give, is asked for the whole.
fn ask(url: &str, here: u64) -> Result<(Response<Body>, u64), FetchError> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .user_agent(concat!("farad/", env!("CARGO_PKG_VERSION")));
    let agent = Agent::new_with_config(config.build());
    let fails = |reason: String| FetchError::Address {
        url: url.to_owned(),
        reason,
    };
    let get = |from: u64| {
        let request = agent.get(url);
        let request = match from {
            0 => request,
            _ => request.header(header::RANGE, format!("bytes={from}-")),
        };
        request.call().map_err(|e| fails(e.to_string()))
    };
    let mut response = get(here)?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        response = get(0)?;
    }
    match response.status() {
        StatusCode::OK => Ok((response, 0)),
        StatusCode::PARTIAL_CONTENT if here > 0 && begins_at(&response, here) => Ok((response, here)),
        status => Err(fails(format!("the server answers {status}"))),
    }
}

/// Whether the part that the server sends begins at this byte.
fn begins_at(response: &Response<Body>, byte: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE);
    range
        .and_then(|r| r.to_str().ok())
        .is_some_and(|r| r.starts_with(&format!("bytes {byte}-")))
}

/// Appends the answer to the `done` bytes of `part`.
fn receive(
    response: Response<Body>,
    url: &str,
    file: &File,
    part: &Path,
    mut done: u64,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), FetchError> {
    let mut out = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .append(done > 0)
        .truncate(done == 0)
        .open(part)
        .map_err(FetchError::io(part))?;
    let total = response.body().content_length().map(|rest| done + rest);
    let cut_off = |received: u64, reason: String| FetchError::CutOff {
        url: url.to_owned(),
        received,
        reason,
    };
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(Progress {
            file: file.name,
            done,
            total,
        });
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) => return Err(cut_off(done, e.to_string())),
        };
        out.write_all(&buffer[..read]).map_err(FetchError::io(part))?;
        done += read as u64;
    }
    if let Some(total) = total.filter(|&total| done < total) {
        return Err(cut_off(done, format!("of {total}")));
    }
    out.sync_all().map_err(FetchError::io(part))
}
