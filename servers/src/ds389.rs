//! 389 Directory Server.
//!
//! Its own tools set it up for the whole machine, as root. It also runs from a folder, as anybody, given a configuration that leaves
//! nothing to be looked for elsewhere. What it lacks there it does not name: most of what is below is there because the server would
//! end, crash or hang without it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::directory::{Directory, READER, SUFFIX, Site, common_entries, succeed};
use crate::process::{Home, started};
use crate::{PASSWORD, Program};

/// What it says when it listens, and only if it says everything else, too: see `VERBOSE`.
const READY: &str = "slapd started.";

/// All kinds of words that are not for debugging. With these it also stays in the foreground.
const VERBOSE: &str = "266354688";

/// A 389 Directory Server with one database, whose suffix is [`Ds389::SUFFIX`].
pub struct Ds389 {
    site: Site,
}

/// How a 389 Directory Server is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ds389Setup {
    /// Lines of the entry `cn=config`, such as `nsslapd-sizelimit: 50`.
    pub global: String,
    /// Lines of the configuration of the databases, such as `nsslapd-lookthroughlimit: 100`.
    pub database: String,
    /// Whether it keeps a change log and offers content synchronization.
    pub synchronization: bool,
    /// Whether the first entries are imported rather than added. That is quick with thousands, and leaves them without `entryUUID`
    /// unless the LDIF has it.
    pub imported: bool,
    /// A folder with `ca.pem`, `server.pem` and `server.key`; without one, nothing is encrypted.
    pub certificates: Option<PathBuf>,
}

impl Default for Ds389Setup {
    fn default() -> Self {
        let (global, database) = (String::new(), String::new());
        Self { global, database, synchronization: true, imported: false, certificates: None }
    }
}

impl Ds389 {
    /// The name of everything.
    pub const SUFFIX: &'static str = SUFFIX;

    /// Who may do everything, without limits. The password is [`PASSWORD`].
    pub const ADMIN: &'static str = "cn=Directory Manager";

    /// Who may read, within limits. The password is [`PASSWORD`].
    pub const READER: &'static str = READER;

    /// Starts one with the entries that every test has (the suffix, `ou=people`, `ou=groups` and the reader) and those given in
    /// LDIF.
    ///
    /// # Errors
    /// It is not installed, does not take the entries, or does not start.
    pub fn start(setup: &Ds389Setup, ldif: &str) -> Result<Self> {
        started(Program::NsSlapd, || Self::start_once(setup, ldif))
    }

    fn start_once(setup: &Ds389Setup, ldif: &str) -> Result<Self> {
        let home = Home::littering("ds389", semaphore)?;
        let mut server = Self { site: Site::new(home, setup.certificates.as_deref())? };
        for part in ["cert", "lock", "run", "tmp", "db"] {
            fs::create_dir(server.folder().join(part))?;
        }
        // It takes the schema from the folder of this name, wherever else it is told to look.
        let configuration = server.configuration()?;
        fs::create_dir_all(configuration.join("schema"))?;
        fs::write(configuration.join("dse.ldif"), server.configured(setup)?)?;
        // Where changes of the schema would go: it ends without it.
        fs::write(configuration.join("schema/99user.ldif"), "dn: cn=schema\nobjectClass: subschema\n")?;
        if let Some(certificates) = &setup.certificates {
            server.keep(certificates)?;
        }
        // Nobody but the administrator sees anything that no rule gives.
        let readable = format!(
            "aci: (targetattr != \"userPassword\")(version 3.0; acl \"reader\"; allow (read, search, compare) userdn = \
             \"ldap:///{READER}\";)\n"
        );
        let entries = common_entries(&readable) + ldif;
        if setup.imported {
            let file = server.folder().join("tmp/entries.ldif");
            fs::write(&file, entries)?;
            let mut import = Program::NsSlapd.command()?;
            succeed(import.arg("ldif2db").arg("-D").arg(&configuration).args(["-n", "userroot", "-i"]).arg(&file))?;
            fs::remove_file(&file)?;
            server.run()?;
        } else {
            server.run()?;
            server.add(&entries)?;
        }
        Ok(server)
    }

    /// The folder of its configuration. It takes the names of what it shares with other processes from this one's, so no other
    /// server may have one that is called so.
    fn configuration(&self) -> Result<PathBuf> {
        let name = self.folder().file_name().context("a folder without a name")?;
        Ok(self.folder().join(name))
    }

    /// Puts certificates where it looks for them: in a store of NSS. With an empty password on that, nobody is asked for one.
    fn keep(&self, certificates: &Path) -> Result<()> {
        let store = format!("sql:{}", self.folder().join("cert").display());
        let packed = self.folder().join("tmp/server.p12");
        let mut pack = Program::OpenSsl.command()?;
        pack.args(["pkcs12", "-export", "-name", "server", "-passout", "pass:x", "-in"]).arg(certificates.join("server.pem"));
        succeed(pack.arg("-inkey").arg(certificates.join("server.key")).arg("-out").arg(&packed))?;
        succeed(Program::CertUtil.command()?.args(["-N", "--empty-password", "-d", &store]))?;
        let mut authority = Program::CertUtil.command()?;
        authority.args(["-A", "-n", "ca", "-t", "CT,,", "-a", "-d", &store, "-i"]);
        succeed(authority.arg(certificates.join("ca.pem")))?;
        succeed(Program::Pk12Util.command()?.args(["-W", "x", "-K", "", "-d", &store, "-i"]).arg(&packed))?;
        Ok(fs::remove_file(&packed)?)
    }

    /// The whole configuration.
    fn configured(&self, setup: &Ds389Setup) -> Result<String> {
        // Without its name SIGTERM is all that comes.
        let user = String::from_utf8(succeed(std::process::Command::new("id").arg("-un"))?)?;
        let (user, folder, configuration) = (user.trim(), self.folder().display(), self.configuration()?);
        let mut entries = Entries::default();
        // Part of each synchronization cookie; without 'localhost' the machine's name is looked up. The scheme of passwords comes before
        // the password, and all but this one take their time with each bind.
        let mut server = format!(
            "nsslapd-localuser: {user}\nnsslapd-localhost: localhost\nnsslapd-listenhost: 127.0.0.1\nnsslapd-port: {}\n\
             nsslapd-errorlog: {folder}/errors\nnsslapd-schemadir: {}/schema\nnsslapd-certdir: {folder}/cert\n\
             nsslapd-lockdir: {folder}/lock\nnsslapd-rundir: {folder}/run\nnsslapd-instancedir: {folder}\n\
             nsslapd-tmpdir: {folder}/tmp\nnsslapd-ldifdir: {folder}/tmp\nnsslapd-bakdir: {folder}/tmp\n\
             nsslapd-rootdn: {}\nnsslapd-rootpwstoragescheme: CLEAR\nnsslapd-rootpw: {PASSWORD}\npasswordStorageScheme: CLEAR\n",
            self.port(),
            configuration.display(),
            Self::ADMIN,
        );
        if let Some(port) = self.tls_port() {
            write!(server, "nsslapd-security: on\nnsslapd-securelistenhost: 127.0.0.1\nnsslapd-secureport: {port}\n")?;
        }
        server.push_str(&setup.global);
        entries.add("cn=config", &format!("objectClass: nsslapdConfig\ncn: config\n{server}"));
        if self.tls_port().is_some() {
            let encryption = "objectClass: nsEncryptionConfig\ncn: encryption\nnsSSLClientAuth: off\nnsSSLSessionTimeout: 0\n";
            entries.add("cn=encryption,cn=config", encryption);
            // Named so whatever kind of key it is.
            let module = "objectClass: nsEncryptionModule\ncn: RSA\nnsSSLPersonalitySSL: server\nnsSSLToken: internal (software)\n\
                          nsSSLActivation: on\n";
            entries.add("cn=RSA,cn=encryption,cn=config", module);
        }
        // Everybody who is bound may ask for content synchronization.
        entries.add("cn=features,cn=config", "");
        let feature = "objectClass: directoryServerFeature\naci: (targetattr = \"*\")(version 3.0; acl \"all\"; allow (read, search) \
                       userdn = \"ldap:///all\";)\n";
        entries.add("oid=1.3.6.1.4.1.4203.1.9.1.1,cn=features,cn=config", feature);
        entries.add("cn=tasks,cn=config", "");
        entries.plugins(setup);
        entries.databases(&folder.to_string(), setup);
        Ok(entries.text)
    }
}

impl Directory for Ds389 {
    /// Its folder has `log`, `errors`, `db`, and the configuration in a folder of the same name.
    fn site(&self) -> &Site {
        &self.site
    }

    fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    fn admin(&self) -> &'static str {
        Self::ADMIN
    }

    fn run(&mut self) -> Result<()> {
        self.tidy()?;
        let mut command = Program::NsSlapd.command()?;
        command.arg("-D").arg(self.configuration()?).args(["-d", VERBOSE]);
        let Site { home, port, tls_port } = &mut self.site;
        home.start(&mut command, READY)?;
        home.wait_for_port(*port)?;
        if let Some(port) = *tls_port {
            // Whatever is wrong with the certificates, it starts, and does without.
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                bail!("nothing is encrypted: {}", fs::read_to_string(self.folder().join("log"))?);
            }
        }
        Ok(())
    }
}

impl Ds389 {
    /// Removes what a server that was killed leaves behind. It would take another process of the same number for itself.
    fn tidy(&self) -> Result<()> {
        let lock = self.folder().join("lock/server");
        if lock.exists() {
            fs::remove_dir_all(lock)?;
        }
        if let Some(semaphore) = semaphore(self.folder()).filter(|file| file.exists()) {
            fs::remove_file(semaphore)?;
        }
        Ok(())
    }
}

/// What it leaves outside of its folder if it is killed: a semaphore for its figures.
fn semaphore(folder: &Path) -> Option<PathBuf> {
    let name = folder.file_name()?.to_str()?;
    Some(Path::new("/dev/shm").join(format!("sem.{name}.stats")))
}

/// The entries of a configuration.
#[derive(Default)]
struct Entries {
    text: String,
}

const PLUGINS: &str = "cn=plugins,cn=config";
const DATABASES: &str = "cn=ldbm database,cn=plugins,cn=config";

/// The schema has attributes of all of these; it is not read at all if one is missing.
const SYNTAXES: &[&str] = &[
    "cis",
    "ces",
    "bin",
    "octetstring",
    "bitstring",
    "boolean",
    "time",
    "tel",
    "telex",
    "teletex",
    "enhancedguide",
    "facsimile",
    "fax",
    "guide",
    "delivery",
    "int",
    "dn",
    "nameoptuid",
    "oid",
    "jpeg",
    "country",
    "postal",
    "numstr",
    "printable",
];

impl Entries {
    fn add(&mut self, name: &str, lines: &str) {
        self.text.push_str(&format!("dn: {name}\nobjectClass: extensibleObject\n{lines}\n"));
    }

    /// A plugin: its name, its library, the function in that which makes it known, what kind it is, and more lines.
    fn plugin(&mut self, name: &str, [library, init, kind]: [&str; 3], lines: &str) {
        let above = if kind == "pwdstoragescheme" { "cn=Password Storage Schemes," } else { "" };
        self.add(
            &format!("cn={name},{above}{PLUGINS}"),
            &format!(
                "objectClass: nsSlapdPlugin\ncn: {name}\nnsslapd-pluginPath: {library}\nnsslapd-pluginInitfunc: {init}\n\
                 nsslapd-pluginType: {kind}\nnsslapd-pluginEnabled: on\n{lines}"
            ),
        );
    }

    fn plugins(&mut self, setup: &Ds389Setup) {
        const AFTER_DATABASES: &str = "nsslapd-plugin-depends-on-type: database\n";
        self.add(PLUGINS, "");
        for syntax in SYNTAXES {
            self.plugin(syntax, ["libsyntax-plugin", &format!("{syntax}_init"), "syntax"], "");
        }
        self.add(&format!("cn=Password Storage Schemes,{PLUGINS}"), "");
        self.plugin("CLEAR", ["libpwdstorage-plugin", "clear_pwd_storage_scheme_init", "pwdstoragescheme"], "");
        self.plugin("entryuuid_syntax", ["libentryuuid-syntax-plugin", "entryuuid_syntax_plugin_init", "syntax"], "");
        self.plugin("entryuuid", ["libentryuuid-plugin", "entryuuid_plugin_init", "betxnpreoperation"], "");
        // Who may do what. Before the databases are there, no rules are.
        self.plugin("ACL Plugin", ["libacl-plugin", "acl_init", "accesscontrol"], AFTER_DATABASES);
        self.plugin("ACL preoperation", ["libacl-plugin", "acl_preopInit", "preoperation"], AFTER_DATABASES);
        self.plugin("whoami", ["libwhoami-plugin", "whoami_init", "extendedop"], "");
        // Nothing is replicated, but without it the first addition never ends.
        let replication = ["libreplication-plugin", "replication_multisupplier_plugin_init", "object"];
        self.plugin("Multisupplier Replication Plugin", replication, "");
        self.plugin("ldbm database", ["libback-ldbm", "ldbm_back_init", "database"], "");
        if setup.synchronization {
            // Content synchronization reads the change log, and calls entries by their nsUniqueId, which is in it only if asked for.
            let log = format!("nsslapd-pluginbetxn: on\nnsslapd-attribute: nsuniqueid:targetUniqueId\n{AFTER_DATABASES}");
            self.plugin("Retro Changelog Plugin", ["libretrocl-plugin", "retrocl_plugin_init", "object"], &log);
            let after = "nsslapd-pluginbetxn: on\nnsslapd-plugin-depends-on-named: Retro Changelog Plugin\n";
            self.plugin("Content Synchronization", ["libcontentsync-plugin", "sync_init", "object"], after);
        }
    }

    fn databases(&mut self, folder: &str, setup: &Ds389Setup) {
        // Left to itself, it takes a quarter of the memory for its caches; with too small a one an import takes ten times as long.
        let caches = "nsslapd-cache-autosize: 0\nnsslapd-dbcachesize: 16777216\nnsslapd-import-cache-autosize: 0\n\
                      nsslapd-import-cachesize: 16777216\nnsslapd-db-durable-transaction: off\n";
        self.add(&format!("cn=config,{DATABASES}"), &format!("nsslapd-directory: {folder}/db\n{caches}{}", setup.database));
        let ours = format!("cn=userroot,{DATABASES}");
        let database = format!(
            "objectClass: nsBackendInstance\ncn: userroot\nnsslapd-suffix: {SUFFIX}\nnsslapd-directory: {folder}/db/userroot\n\
             nsslapd-cachememsize: 67108864\nnsslapd-dncachememsize: 16777216\n"
        );
        self.add(&ours, &database);
        self.add(&format!("cn=index,{ours}"), "");
        for name in ["entryuuid", "nsuniqueid", "uid", "modifytimestamp"] {
            self.index(&format!("cn=index,{ours}"), name);
        }
        self.add("cn=mapping tree,cn=config", "");
        let tree = format!("objectClass: nsMappingTree\ncn: {SUFFIX}\nnsslapd-state: backend\nnsslapd-backend: userroot\n");
        self.add(&format!("cn=\"{SUFFIX}\",cn=mapping tree,cn=config"), &tree);
        if setup.synchronization {
            // The database of the change log takes these when it is made.
            let default = format!("cn=default indexes,cn=config,{DATABASES}");
            self.add(&default, "");
            self.index(&default, "targetuniqueid");
        }
    }

    fn index(&mut self, above: &str, name: &str) {
        let index = format!("objectClass: nsIndex\ncn: {name}\nnsSystemIndex: false\nnsIndexType: eq\n");
        self.add(&format!("cn={name},{above}"), &index);
    }
}
