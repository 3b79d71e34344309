//! The connector itself: the pass over the file as a stream.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use futures::{Stream, StreamExt, stream};
use tidelock_connector_api::{Connector, Error, ErrorKind, Found, LiveSync, ObjectStream, Result, SearchRequest, async_trait};
use tidelock_model::filter::BoundFilter;
use tidelock_model::object::Schema;
use tidelock_model::{Diagnostic, Diagnostics};
use tokio::sync::{mpsc, oneshot};

use crate::config::CsvConfig;
use crate::live_sync::Held;
use crate::object::Objects;
use crate::reader::{self, Page, Wanted};
use crate::{query, schema};

/// How many pages may wait to be taken.
const PAGES_AHEAD: usize = 2;

/// A CSV file as a resource.
#[derive(Clone, Debug)]
pub struct Csv {
    config: Arc<CsvConfig>,
    warnings: Diagnostics,
    state: Option<Arc<Path>>,
    held: Held,
}

impl Csv {
    /// A connector for a configuration. The file is not touched before it is needed.
    #[must_use]
    pub fn new(config: CsvConfig) -> Self {
        Self { config: Arc::new(config), warnings: Vec::new(), state: None, held: Held::default() }
    }

    /// The same with a folder of its own, in which snapshots of the file are kept for live synchronization; without one, there is
    /// none. It is made when it is needed.
    #[must_use]
    pub fn with_state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state = Some(folder.into().into());
        self
    }

    /// What was noticed in the definition that does not keep it from being used.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.config.path
    }

    pub(crate) fn config(&self) -> &Arc<CsvConfig> {
        &self.config
    }

    pub(crate) fn state_folder(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    pub(crate) fn with_warnings(mut self, warnings: Diagnostics) -> Self {
        self.warnings = warnings;
        self
    }
}

#[async_trait]
impl Connector for Csv {
    async fn schema(&self) -> Result<Schema> {
        let config = Arc::clone(&self.config);
        on_a_thread(move || match reader::columns(&config)? {
            Some(columns) => Ok(columns.schema(&config)),
            // Whoever writes the file may not have come to it yet: that is no fault of the configuration.
            None => {
                Err(Error::unreachable(format!("{} is empty: without a row its columns are not known", config.path.display())))
            }
        })
        .await
    }

    /// A row that cannot be read is an error item that names it.
    ///
    /// The same identifier twice in the file gives the object twice: keeping all of them in mind would take memory without
    /// bound.
    fn search(&self, request: SearchRequest) -> ObjectStream<'_> {
        if *request.class != *schema::OBJECT_CLASS {
            let error = Error::unsupported(format!(
                "a CSV file has no object class '{}', only '{}'",
                request.class,
                schema::OBJECT_CLASS
            ));
            return stream::iter([Err(error)]).boxed();
        }
        let (wanted, filter) = Wanted::split(request.filter, &self.config.unique_attribute);
        let objects = Objects::new(Arc::clone(&self.config), filter);
        Rows { start: Some((Arc::clone(&self.config), wanted)), pages: None, objects }.boxed()
    }

    fn supports(&self, class: &str, filter: &BoundFilter) -> bool {
        let _ = filter;
        class == schema::OBJECT_CLASS
    }

    fn native_query(&self, request: &SearchRequest) -> Option<String> {
        let file = self
            .config
            .path
            .file_name()
            .map_or_else(|| self.config.path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Some(match &request.filter {
            BoundFilter::All => format!("read every row of {file}"),
            filter => format!("read every row of {file} where {}", query::show(filter)),
        })
    }

    async fn count(&self, request: &SearchRequest) -> Result<Option<u64>> {
        if *request.class != *schema::OBJECT_CLASS || request.filter != BoundFilter::All {
            return Ok(None);
        }
        let config = Arc::clone(&self.config);
        on_a_thread(move || reader::estimate(&config)).await.map(Some)
    }

    fn live_sync(&self) -> Option<&dyn LiveSync> {
        self.state.is_some().then_some(self)
    }
}

/// The rows of a file, read by a thread that starts with the first poll and ends soon after the stream is dropped.
struct Rows {
    start: Option<(Arc<CsvConfig>, Option<Wanted>)>,
    pages: Option<mpsc::Receiver<Page>>,
    objects: Objects,
}

impl Stream for Rows {
    type Item = Result<Found>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.objects.next() {
                return Poll::Ready(Some(item));
            }
            if let Some((config, wanted)) = self.start.take() {
                let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
                let reading = thread::Builder::new()
                    .name("csv".to_owned())
                    .spawn(move || reader::search(&config, wanted.as_ref(), &sender));
                if let Err(error) = reading {
                    return Poll::Ready(Some(Err(no_thread(error))));
                }
                self.pages = Some(receiver);
            }
            match self.pages.as_mut().map(|pages| pages.poll_recv(context)) {
                Some(Poll::Ready(Some(page))) => self.objects.turn(page),
                Some(Poll::Pending) => return Poll::Pending,
                Some(Poll::Ready(None)) | None => {
                    self.pages = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Runs what waits for the disk away from the threads that must not wait.
pub(crate) async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .name("csv".to_owned())
        .spawn(move || {
            // Nobody waiting any more is nobody to tell.
            let _ = sender.send(work());
        })
        .map_err(no_thread)?;
    receiver.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Unexpected, "reading the file was broken off")))
}

pub(crate) fn no_thread(error: std::io::Error) -> Error {
    Error::unreachable("cannot start a thread to read the file").with_source(error)
}
