//! A store that speaks as much of the protocol of S3 as backups need, over real connections: objects, uploads in parts, ranges,
//! conditions and lists. It can be told to fail.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub const KEY: &str = "the-key-of-the-test";
pub const SECRET: &str = "nobody-may-see-this";
pub const BUCKET: &str = "bucket";
/// So that few objects take several pages.
const LISTED_MAX: usize = 2;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Answers with this status and does nothing.
    Status(u16),
    /// Ends the connection without an answer, and does nothing.
    Cut,
    /// Does it, and ends the connection without an answer.
    AnswerLost,
    /// Ends the connection in the middle of the answer.
    CutInside,
    /// Answers late.
    Slow(Duration),
    /// Somebody else puts an object there first.
    Overtaken,
}

/// A store with one bucket, on a port of its own.
pub struct Store {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub struct State {
    pub objects: BTreeMap<String, Object>,
    /// Begun and neither completed nor deleted.
    pub uploads: BTreeMap<String, Parts>,
    /// Method, path and query of each request.
    pub requests: Vec<String>,
    faults: Vec<Fault>,
    next: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Object {
    pub bytes: Vec<u8>,
    mark: Option<String>,
}

#[derive(Debug, Default)]
pub struct Parts {
    mark: Option<String>,
    parts: BTreeMap<u32, Vec<u8>>,
}

struct Fault {
    method: &'static str,
    within: &'static str,
    /// Requests of that kind that are answered as they should be, before.
    after: usize,
    times: usize,
    wrong: Wrong,
}

impl Store {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, state) = (connection.unwrap(), Arc::clone(&shared));
                // Whoever was killed hears no answer.
                thread::spawn(move || _ = serve(connection, &state));
            }
        });
        Self { address, state }
    }

    /// What tells the command where the store is and who it may be.
    pub fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        let pairs = [
            ("AWS_ENDPOINT", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.state().objects.insert(name.to_owned(), Object { bytes: bytes.into(), mark: None });
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// Requests with this method, and this in their query, go wrong: after so many, and so many times.
    pub fn fails(&self, (method, within): (&'static str, &'static str), after: usize, times: usize, wrong: Wrong) {
        self.state().faults.push(Fault { method, within, after, times, wrong });
    }

    pub fn works_again(&self) {
        self.state().faults.clear();
    }
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn serve(mut connection: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let request = Request::read(&mut BufReader::new(connection.try_clone()?))?;
    let wrong = state.lock().unwrap().received(&request);
    match wrong {
        Some(Wrong::Status(status)) => {
            let body = "<Error><Code>Broken</Code><Message>told to fail</Message></Error>";
            return Answer::new(status, body).write(&mut connection, &request);
        }
        Some(Wrong::Cut) => return Ok(()),
        Some(Wrong::Slow(time)) => thread::sleep(time),
        Some(Wrong::Overtaken) => {
            let name = request.object().to_owned();
            state.lock().unwrap().objects.insert(name, Object { bytes: b"of another".to_vec(), mark: None });
        }
        _ => {}
    }
    let mut answer = state.lock().unwrap().answer(&request);
    match wrong {
        Some(Wrong::AnswerLost) => Ok(()),
        Some(Wrong::CutInside) => {
            let len = answer.body.len();
            answer.headers.push(("content-length", len.to_string()));
            answer.body.truncate(len / 2);
            answer.write(&mut connection, &request)
        }
        _ => answer.write(&mut connection, &request),
    }
}

impl Request {
    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        });
        let (method, path, query) = (method.to_owned(), decoded(path), query.collect());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; len];
        from.read_exact(&mut body)?;
        Ok(Self { method, path, query, headers, body })
    }

    fn object(&self) -> &str {
        self.path.trim_start_matches('/').split_once('/').map_or("", |(_, name)| name)
    }

    fn asks(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

impl Answer {
    fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    fn refused(status: u16, code: &str) -> Self {
        Self::new(status, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
    }

    fn write(&self, to: &mut TcpStream, request: &Request) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Told\r\nconnection: close\r\n", self.status);
        if !self.headers.iter().any(|(name, _)| *name == "content-length") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        to.write_all(head.as_bytes())?;
        to.write_all(b"\r\n")?;
        if request.method != "HEAD" {
            to.write_all(&self.body)?;
        }
        to.flush()
    }
}

impl Object {
    /// Another for other bytes.
    fn tag(&self) -> String {
        let sum = self.bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        format!("\"{sum:x}-{}\"", self.bytes.len())
    }
}

impl State {
    /// Notes it, and says what is to go wrong.
    fn received(&mut self, request: &Request) -> Option<Wrong> {
        let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = query.join("&");
        self.requests.push(format!("{} {}?{query}", request.method, request.path));
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.times > 0 && fault.method == request.method && query.contains(fault.within))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.wrong)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let signed = request.headers.get("authorization").is_some_and(|by| by.contains(&format!("Credential={KEY}/")));
        if !signed {
            return Answer::refused(403, "InvalidAccessKeyId");
        }
        if request.path.trim_start_matches('/').split('/').next() != Some(BUCKET) {
            return Answer::refused(404, "NoSuchBucket");
        }
        match (request.method.as_str(), request.asks("uploadId").map(str::to_owned)) {
            ("GET", _) if request.asks("list-type").is_some() => self.list(request),
            ("GET" | "HEAD", _) => self.get(request),
            ("POST", None) if request.asks("uploads").is_some() => {
                self.next += 1;
                let id = format!("upload-{}", self.next);
                let mark = request.headers.get("x-amz-meta-lightning-upload").cloned();
                self.uploads.insert(id.clone(), Parts { mark, ..Parts::default() });
                Answer::new(
                    200,
                    format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"),
                )
            }
            ("PUT", Some(id)) => {
                let number: u32 = request.asks("partNumber").unwrap().parse().unwrap();
                let Some(upload) = self.uploads.get_mut(&id) else { return Answer::refused(404, "NoSuchUpload") };
                upload.parts.insert(number, request.body.clone());
                let headers = vec![("etag", format!("\"part-{number}\""))];
                Answer { headers, ..Answer::new(200, "") }
            }
            ("POST", Some(id)) => self.complete(request, &id),
            ("DELETE", Some(id)) => {
                self.uploads.remove(&id);
                Answer::new(204, "")
            }
            _ => Answer::refused(501, "NotImplemented"),
        }
    }

    fn complete(&mut self, request: &Request, id: &str) -> Answer {
        if !self.uploads.contains_key(id) {
            return Answer::refused(404, "NoSuchUpload");
        }
        let is_new = request.headers.get("if-none-match").is_some_and(|tags| tags == "*");
        if is_new && self.objects.contains_key(request.object()) {
            return Answer::refused(412, "PreconditionFailed");
        }
        let Parts { mark, parts } = self.uploads.remove(id).unwrap_or_default();
        let asked = String::from_utf8_lossy(&request.body).matches("<PartNumber>").count();
        let all_but_last = parts.len().saturating_sub(1);
        if asked != parts.len() || parts.values().take(all_but_last).any(|part| part.len() < 5 << 20) {
            return Answer::refused(400, "EntityTooSmall");
        }
        let object = Object { bytes: parts.into_values().flatten().collect(), mark };
        let tag = object.tag();
        self.objects.insert(request.object().to_owned(), object);
        Answer::new(200, format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"))
    }

    fn get(&self, request: &Request) -> Answer {
        let Some(object) = self.objects.get(request.object()) else { return Answer::refused(404, "NoSuchKey") };
        let (tag, len) = (object.tag(), object.bytes.len());
        if request.headers.get("if-match").is_some_and(|wanted| *wanted != tag) {
            return Answer::refused(412, "PreconditionFailed");
        }
        let mut headers = vec![("etag", tag), ("last-modified", "Sun, 22 Nov 2026 03:00:00 GMT".to_owned())];
        headers.extend(object.mark.clone().map(|mark| ("x-amz-meta-lightning-upload", mark)));
        let range = request.headers.get("range").map(|range| {
            let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (from.parse::<usize>().unwrap(), to.parse::<usize>().map_or(len, |to| (to + 1).min(len)))
        });
        match range {
            None => Answer { headers, ..Answer::new(200, object.bytes.clone()) },
            Some((from, to)) if from < to => {
                headers.push(("content-range", format!("bytes {from}-{}/{len}", to - 1)));
                Answer { headers, ..Answer::new(206, &object.bytes[from..to]) }
            }
            Some(_) => Answer::refused(416, "InvalidRange"),
        }
    }

    fn list(&self, request: &Request) -> Answer {
        let (prefix, after) = (request.asks("prefix").unwrap_or(""), request.asks("continuation-token").unwrap_or(""));
        let named = self.objects.iter().filter(|(name, _)| name.starts_with(prefix) && name.as_str() > after);
        let names: Vec<_> =
            named.filter(|(name, _)| !name[prefix.len()..].contains('/')).take(LISTED_MAX + 1).collect();
        let mut body = String::from("<ListBucketResult>");
        for (name, object) in names.iter().take(LISTED_MAX) {
            let (len, tag) = (object.bytes.len(), object.tag());
            let dated = "<LastModified>2026-11-22T03:00:00.000Z</LastModified>";
            body += &format!("<Contents><Key>{name}</Key><Size>{len}</Size>{dated}<ETag>{tag}</ETag></Contents>");
        }
        if names.len() > LISTED_MAX {
            let last = names[LISTED_MAX - 1].0;
            body += &format!("<NextContinuationToken>{last}</NextContinuationToken><IsTruncated>true</IsTruncated>");
        }
        Answer::new(200, body + "</ListBucketResult>")
    }
}

/// Without the escapes of an address.
fn decoded(text: &str) -> String {
    let (mut bytes, mut left) = (Vec::new(), text.bytes());
    while let Some(byte) = left.next() {
        match byte {
            b'%' => {
                let digits = [left.next().unwrap_or_default(), left.next().unwrap_or_default()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
