//! From the configuration to a running server.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    admin_token, executable,
    instance::{Instance, InstanceError},
};
use crate::{
    config::{self, Config, ProviderKind},
    data_dir::DataDir,
    db::{Db, DbError},
    domain::person::Scope,
    export::{self, Exporter, Format, Wish},
    host,
    llm::{
        HostedKind, HostedSettings, Models, Pace, Price, ProviderSettings, ScriptError, Scripts, SettingsError,
        Timeouts, ToolCalls,
    },
    metrics::Metrics,
    pipeline::{
        Pipeline, answers, gate::Gate, housekeeping, observer, publisher::Publisher, queue::Queue, recovery,
        refused_keys, worker,
    },
    sandbox::{Engine, SandboxError},
    sign_in::{self, SignIn},
    web,
};

/// A server that listens already. Nothing runs before [`App::run`].
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) admin_token: SecretString,
    pub(crate) admin_token_is_new: bool,
    pub(crate) config: Arc<Config>,
    pipeline: Pipeline,
    listener: TcpListener,
    instance: Instance,
    metrics: Metrics,
    sign_in: SignIn,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    #[error("cannot switch core dumps off: {0}")]
    Process(io::Error),
    #[error("data_dir: {0}")]
    DataDir(io::Error),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Models(#[from] SettingsError),
    #[error("cannot prepare connections to [auth] providers: {0}")]
    SignIn(#[from] sign_in::ClientError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("cannot listen on {address}: {source}; choose another [server] bind")]
    Listen { address: SocketAddr, source: io::Error },
}

/// The play of the demo; `examples/` has the repository for it.
const BUILT_IN_SCRIPTS: &[(&str, &str)] = &[("leap-year", include_str!("../../examples/leap-year.script.json"))];

/// How long running tasks may take to be brought to rest when the server stops.
const TASKS_GRACE: Duration = Duration::from_secs(10);

impl App {
    /// Takes the data directory, opens the database and the port.
    pub(crate) async fn build(config: Config) -> Result<Self, BuildError> {
        let config = Arc::new(config);
        host::keep_memory_private().map_err(BuildError::Process)?;
        let data_dir = DataDir::prepare(&config.data_dir).map_err(BuildError::DataDir)?;
        let instance = Instance::take(data_dir.path())?;
        let executable = executable::install(&data_dir.bin()).map_err(BuildError::DataDir)?;
        let token = admin_token::load(&data_dir.admin_token()).map_err(BuildError::DataDir)?;
        let db = Db::open(&data_dir.database()).await?;
        let engine = Engine::new(config.sandbox.clone(), instance.name().to_owned(), executable);
        let metrics = Metrics::new();
        let queue = Queue::new(db.clone(), data_dir.clone(), config.clone());
        let models = Arc::new(Models::new(providers(&config)?, config.llm.refused_pause, &metrics)?);
        let pipeline = Pipeline {
            publisher: Publisher::new(db.clone(), config.clone(), data_dir.clone()),
            gate: Gate::new(
                engine.clone(),
                queue.clone(),
                config.clone(),
                data_dir.clone(),
                db.clone(),
                models.clone(),
            ),
            queue,
            db,
            data_dir,
            models,
            config: config.clone(),
            engine,
            serve_steps: Arc::new(|listener, session, done| Box::pin(web::serve_steps(listener, session, done))),
        };
        let sign_in = SignIn::new(config.sign_in.clone())?;
        let bind = config.server.bind;
        let listen_error = |source| BuildError::Listen { address: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        instance.announce(address).map_err(BuildError::DataDir)?;
        Ok(Self {
            address,
            admin_token: token.token,
            admin_token_is_new: token.is_new,
            config,
            pipeline,
            listener,
            instance,
            metrics,
            sign_in,
        })
    }

    /// Fails with what to do when Docker does not answer.
    pub(crate) async fn require_docker(&self) -> Result<(), SandboxError> {
        self.pipeline.engine.facts().await.map(drop)
    }

    /// How people reach the server.
    pub(crate) fn url(&self) -> String {
        self.config.server.public_url.clone().unwrap_or_else(|| format!("http://{}", self.address))
    }

    /// Runs in the background until `shutdown`.
    pub(crate) fn start(self, shutdown: CancellationToken) -> JoinHandle<anyhow::Result<()>> {
        tokio::spawn(self.run(shutdown))
    }

    /// Tidies up after the last run, then serves and works until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        recovery::sweep(&self.pipeline).await?;
        let stopping = shutdown.clone();
        self.merge_training_data(&shutdown);
        let vitals = web::Vitals {
            obstacles: self.pipeline.gate.obstacles(),
            metrics: self.metrics,
            engine: self.pipeline.engine.clone(),
            models: self.pipeline.models.clone(),
        };
        tokio::spawn(observer::run(self.pipeline.db.clone(), vitals.metrics.clone(), shutdown.clone()));
        tokio::spawn(self.pipeline.gate.clone().run(shutdown.clone()));
        tokio::spawn(self.pipeline.gate.clone().guard_disk(shutdown.clone()));
        tokio::spawn(refused_keys::ask_again(self.pipeline.clone(), shutdown.clone()));
        tokio::spawn(housekeeping::run(self.pipeline.clone(), vitals.metrics.clone(), shutdown.clone()));
        tokio::spawn(answers::run(self.pipeline.db.clone(), self.config.clone(), shutdown.clone()));
        self.pipeline.publisher.resume(&shutdown).await?;
        let worker = tokio::spawn(worker::run(self.pipeline.clone(), shutdown.clone()));
        let state = web::AppState::new(
            self.pipeline.db.clone(),
            self.pipeline.queue.clone(),
            self.config.clone(),
            self.pipeline.data_dir.clone(),
            web::WaysIn { admin_token: &self.admin_token, sign_in: self.sign_in },
            vitals,
            shutdown,
        );
        let closing = CancellationToken::new();
        let serving = tokio::spawn(web::serve(self.listener, state, closing.clone()));
        stopping.cancelled().await;
        // Those who ask in the meantime are told so; a refused connection would tell them nothing.
        if tokio::time::timeout(TASKS_GRACE, worker).await.is_err() {
            tracing::warn!("tasks are still being tidied up; the next start goes on with that");
        }
        closing.cancel();
        serving.await?;
        drop(self.instance);
        Ok(())
    }

    fn merge_training_data(&self, shutdown: &CancellationToken) {
        let settings = &self.config.export;
        if let Some(pause) = settings.every {
            let exporter = Exporter::new(self.pipeline.db.clone(), self.pipeline.data_dir.clone());
            let wish = Wish { scope: Scope::All, format: Format::default(), ratings: settings.ratings, model: None };
            tokio::spawn(export::keep_merging(exporter, wish, settings.path.clone(), pause, shutdown.clone()));
        }
    }
}

fn providers(config: &Config) -> Result<Vec<ProviderSettings>, BuildError> {
    config.llm.providers.iter().map(|(name, provider)| provider_settings(config, name, provider)).collect()
}

fn provider_settings(config: &Config, name: &str, provider: &config::Provider) -> Result<ProviderSettings, BuildError> {
    let kind = match provider.kind {
        ProviderKind::Openai => HostedKind::OpenAi,
        ProviderKind::OpenaiResponses => HostedKind::OpenAiResponses,
        ProviderKind::Anthropic => HostedKind::Anthropic,
        ProviderKind::Deepseek => HostedKind::DeepSeek,
        ProviderKind::Gemini => HostedKind::Gemini,
        ProviderKind::Ollama => HostedKind::Ollama,
        ProviderKind::Scripted => {
            let scripts = Scripts::new(provider.scripts.clone(), BUILT_IN_SCRIPTS)?;
            return Ok(ProviderSettings::Scripted { name: name.to_owned(), scripts });
        }
    };
    let prices = config.llm.prices.iter().filter(|(model, _)| model.provider() == name);
    let prices = prices.map(|(model, price)| {
        let price = Price {
            input_usd_per_million: price.input,
            cached_input_usd_per_million: price.cached_input,
            output_usd_per_million: price.output,
        };
        (model.id().to_owned(), price)
    });
    let pace = Pace { max_concurrent: provider.max_concurrent, requests_per_minute: provider.requests_per_minute };
    let settings = HostedSettings {
        name: name.to_owned(),
        kind,
        base_url: provider.base_url.clone(),
        api_key: provider.api_key.clone(),
        api_key_env: provider.api_key_env.clone(),
        timeouts: Timeouts {
            connect: provider.connect_timeout,
            first_byte: provider.first_byte_timeout,
            idle: provider.idle_timeout,
            total: provider.request_timeout,
        },
        stream: provider.stream,
        prices: prices.collect::<HashMap<_, _>>(),
    };
    let tool_calls = match provider.tool_calls {
        config::ToolCalls::Native => ToolCalls::Native,
        config::ToolCalls::Fenced => ToolCalls::Fenced,
        config::ToolCalls::Auto => ToolCalls::Auto,
    };
    Ok(ProviderSettings::Hosted(settings, pace, tool_calls))
}
