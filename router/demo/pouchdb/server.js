// PouchDB Server with what a CouchDB client needs put right: headers, identity, who may make a database, what a new one
// allows, what validation functions are told, the status of a malformed document, and no death by a stray rejection.
//
// Settings come from the environment, so that the password stands in no process list:
//   POUCHDB_STATE  folder for config.json, log.txt, identities.json and the file `port`, written once it listens
//   POUCHDB_DATA   folder for the databases; empty for memory
//   POUCHDB_PORT   port on 127.0.0.1; 0 for a free one
//   POUCHDB_ADMIN, POUCHDB_PASSWORD  the server admin
// It ends on SIGTERM, and when its standard input ends, which happens when the process that started it dies.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const couchdbEval = require('couchdb-eval');
const express = require('express');
const expressPouchDB = require('express-pouchdb');
const PouchDB = require('pouchdb');

const state = process.env.POUCHDB_STATE;
const data = process.env.POUCHDB_DATA;

// An unknown filter name would otherwise end the process.
process.on('unhandledRejection', (error) => console.error('unhandled rejection:', error));

// A validation function is compiled anew for each document that is written; once for each revision of it is enough.
const evaluate = couchdbEval.evaluate;
const compiled = new Map();
couchdbEval.evaluate = function (designDoc, variables, program) {
  if (!designDoc || !designDoc._rev || Object.keys(variables).length) return evaluate(designDoc, variables, program);
  const key = [designDoc._id, designDoc._rev, program].join();
  if (!compiled.has(key)) {
    if (compiled.size > 100) compiled.clear();
    compiled.set(key, evaluate(designDoc, variables, program));
  }
  return compiled.get(key);
};

function replaceFile(name, text) {
  fs.writeFileSync(path.join(state, name + '.new'), text);
  fs.renameSync(path.join(state, name + '.new'), path.join(state, name));
}

// When each database was made. PouchDB's own instance_start_time is the start of the process, for all databases alike.
const identities = {
  made: {},
  last: 0,
  load() {
    this.made = readState('identities.json');
  },
  save() {
    replaceFile('identities.json', JSON.stringify(this.made));
  },
  of(name) {
    if (!Object.prototype.hasOwnProperty.call(this.made, name)) {
      this.last = Math.max(this.last + 1, Date.now() * 1000);
      this.made[name] = String(this.last);
      this.save();
    }
    return this.made[name];
  },
  forget(name) {
    delete this.made[name];
    this.save();
  },
};

// Answers are changed on their way out, before the client can see them. `change` gets the body and may give another.
function onAnswer(res, change) {
  const send = res.send;
  res.send = function (body) {
    res.send = send;
    Promise.resolve(change(body)).then((changed) => send.call(res, changed === undefined ? body : changed));
    return res;
  };
}

// A question to ourselves, as the one who asks.
function ask(req, url, options = {}) {
  const headers = { accept: 'application/json', 'content-type': 'application/json' };
  for (const name of ['authorization', 'cookie']) {
    if (req.headers[name]) headers[name] = req.headers[name];
  }
  return fetch('http://127.0.0.1:' + req.socket.localPort + url, { ...options, headers });
}

const ADMINS_ONLY = { members: { roles: ['_admin'] }, admins: { roles: ['_admin'] } };

// PUT and DELETE of a database: for server admins (PouchDB Server gives others no answer at all), and a new one is
// theirs alone until its _security says otherwise, as in CouchDB 3.
async function changeDatabase(req, res, next, name) {
  const session = await ask(req, '/_session');
  const who = await session.json();
  if (!session.ok) return res.status(session.status).json(who);
  if (!who.userCtx.roles.includes('_admin')) {
    return res.status(401).json({ error: 'unauthorized', reason: 'You are not a server admin.' });
  }
  onAnswer(res, async () => {
    if (res.statusCode >= 300) return;
    identities.forget(name);
    if (req.method === 'PUT') {
      identities.of(name);
      const body = JSON.stringify(ADMINS_ONLY);
      await ask(req, '/' + encodeURIComponent(name) + '/_security', { method: 'PUT', body });
    }
  });
  next();
}

// The validation functions of a bulk write are not told the database's _security, as those of a single write are.
async function tellSecurity(req, database) {
  const security = await ask(req, '/' + database + '/_security');
  if (security.ok) req.couchSecurityObj = await security.json();
}

// A continuous feed goes on for ever after its client has gone, and works for each change that is written; after a few hundred
// clients the server does nothing else. Ends it, with its heartbeat, which only an error ends.
function endFeedWithConnection(req, res) {
  let database;
  Object.defineProperty(req, 'db', {
    get: () => database,
    set: (opened) => {
      const changes = (options) => {
        const feed = opened.changes(options);
        feed.catch(() => {});
        res.on('close', () => {
          feed.emit('error', new Error('the client has gone'));
          feed.cancel();
        });
        return feed;
      };
      database = Object.create(opened, { changes: { value: changes } });
    },
  });
}

function likeCouchDB(req, res, next) {
  // A compressed feed is held back until the buffer is full, heartbeats too.
  delete req.headers['accept-encoding'];
  if (!req.headers.accept || req.headers.accept === '*/*') {
    req.headers.accept = 'application/json';
  }
  if (req.method === 'PUT' && req.headers['if-match']) {
    req.query.rev = req.headers['if-match'].replace(/"/g, '');
    delete req.headers['if-match'];
  }
  if (req.query.feed === 'continuous' && req.path.endsWith('/_changes')) endFeedWithConnection(req, res);
  const database = /^\/([^/?]+)\/?$/.exec(req.path);
  if (database && !(database[1].startsWith('_') && database[1] !== '_users')) {
    const name = decodeURIComponent(database[1]);
    if (req.method === 'PUT' || req.method === 'DELETE') {
      changeDatabase(req, res, next, name).catch(next);
      return;
    }
    if (req.method === 'GET') {
      onAnswer(res, (body) => {
        if (res.statusCode !== 200) return undefined;
        const info = JSON.parse(body.toString());
        info.instance_start_time = identities.of(name);
        return Buffer.from(JSON.stringify(info) + '\n');
      });
    }
  } else if (req.method === 'PUT' || req.method === 'POST') {
    const bulk = /^\/([^/?]+)\/_bulk_docs\/?$/.exec(req.path);
    onAnswer(res, (body) => {
      if (res.statusCode === 500 && JSON.parse(body.toString()).error === 'doc_validation') res.status(400);
    });
    if (bulk) {
      tellSecurity(req, bulk[1]).then(() => next(), next);
      return;
    }
  }
  next();
}

function readState(name) {
  try {
    return JSON.parse(fs.readFileSync(path.join(state, name), 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return {};
  }
}

// The admin's password is written plainly; express-pouchdb reads it and at once puts its hash in its place.
function writeConfig() {
  const config = readState('config.json');
  config.admins = { [process.env.POUCHDB_ADMIN]: process.env.POUCHDB_PASSWORD };
  config.log = { level: 'none' };
  config.couchdb = { uuid: crypto.randomUUID().replace(/-/g, ''), ...config.couchdb };
  replaceFile('config.json', JSON.stringify(config));
}

async function untilHashed(config) {
  while (config.get('admins', process.env.POUCHDB_ADMIN) === process.env.POUCHDB_PASSWORD) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function main() {
  identities.load();
  writeConfig();
  const options = { view_update_changes_batch_size: 500 };
  if (data) {
    options.prefix = path.join(data, path.sep);
  } else {
    PouchDB.plugin(require('pouchdb-adapter-memory'));
    options.adapter = 'memory';
  }
  const Databases = PouchDB.defaults(options);
  const pouch = expressPouchDB({
    configPath: path.join(state, 'config.json'),
    logPath: path.join(state, 'log.txt'),
    overrideMode: { exclude: ['replicator'] },
  });
  await pouch.setPouchDB(Databases);
  await untilHashed(pouch.couchConfig);

  const app = express();
  app.use(likeCouchDB);
  app.get('/_up', (req, res) => res.json({ status: 'ok' }));
  app.use(pouch);

  const server = app.listen(Number(process.env.POUCHDB_PORT), '127.0.0.1', () =>
    replaceFile('port', String(server.address().port)));
  // Longer than any client keeps an idle connection, so that none is closed just as it is used again.
  server.keepAliveTimeout = 300000;
  server.requestTimeout = 0;

  const end = () => process.exit(0);
  process.on('SIGTERM', end);
  process.stdin.on('end', end).on('error', end).resume();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
