// Runs the published ObjectStack runtime on a database that the reconciler has
// prepared: node check.cjs DATABASE RESULT. NODE_PATH says where its packages
// are.
//
// The runtime starts as an application starts it: a kernel with the SQL driver,
// the metadata service on the database, the definitions as an app, and the
// engine, which syncs the schema of every object. The definitions are those in
// the database's own sys_metadata, read by the published loader. Each object
// then gets a record that is inserted, read back, compared and deleted through
// the engine. RESULT gets what happened as JSON; what the database is like
// afterwards is for the caller to judge.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { inspect, isDeepStrictEqual } = require('node:util');
const { ObjectKernel } = require('@objectstack/core');
const { SqlDriver } = require('@objectstack/driver-sql');
const { DatabaseLoader, MetadataPlugin } = require('@objectstack/metadata');
const { ObjectQLPlugin, SchemaRegistry } = require('@objectstack/objectql');
const { AppPlugin, DriverPlugin } = require('@objectstack/runtime');

const [database, resultFile] = process.argv.slice(2);
const result = {
  definitions: {}, // names by type, as the metadata loader finds them
  hydrated: {}, // what the engine's own loader made of the same rows
  synced: [], // tables
  objects: [], // those whose record came and went as it should
  values: 0, // compared
  failures: [],
};

function fail(what, problem) {
  result.failures.push(`${what}: ${problem instanceof Error ? problem.message : problem}`);
}

// The engine logs a schema that it cannot sync, and goes on.
class WatchedDriver extends SqlDriver {
  async syncSchema(table, object, options) {
    try {
      await super.syncSchema(table, object, options);
      result.synced.push(table);
    } catch (error) {
      fail(`sync ${table}`, error);
      throw error;
    }
  }
}

// Columns that every table has. The runtime fills the first, the database the
// others.
const systemColumns = ['id', 'created_at', 'updated_at'];

// valueOf returns a value for a field, undefined for one without a column. It
// is chosen so that release 4.0.1 can write it and has to read it back as it
// is. JSON is parsed for some types and for multiple fields; for the others
// that hold JSON this release can bind neither a list nor an object, so that
// an application has to give their text. Only the type boolean is made of the
// database's 0 and 1 again, so a toggle is written as 1.
function valueOf(name, field) {
  if (field.type === 'formula') return undefined;
  if (field.multiple) return ['first', 'it\'s "second"'];
  switch (field.type) {
    case 'text': case 'textarea': case 'email': case 'url': case 'phone': case 'password':
    case 'markdown': case 'html': case 'richtext': case 'code': case 'color': case 'qrcode':
    case 'signature': case 'autonumber': case 'lookup': case 'master_detail': case 'tree':
      return `it's "${name}" ✓`;
    case 'select': case 'radio':
      return field.options?.[0]?.value ?? 'open';
    // Whole, because a column of text would make "3.0" of it.
    case 'number': case 'currency': case 'percent': case 'summary':
    case 'rating': case 'slider': case 'progress':
      return 3;
    case 'boolean':
      return true;
    case 'toggle':
      return 1;
    case 'date':
      return '2026-02-24';
    case 'datetime':
      return '2026-02-24T10:20:30.400Z';
    case 'time':
      return '10:20:30';
    case 'json': case 'location': case 'image': case 'file': case 'avatar':
      return { latitude: 59.9, longitude: 10.7, note: 'it\'s "here"' };
    case 'multiselect': case 'checkboxes': case 'tags': case 'vector':
    case 'address': case 'video': case 'audio':
      return '["first","second"]';
    default:
      throw new Error(`no value is known for a field of type ${field.type}`);
  }
}

// start returns a running kernel whose app has the definitions given.
async function start(driver, definitions) {
  const kernel = new ObjectKernel({ logger: { level: 'warn', format: 'json' }, gracefulShutdown: false });
  await kernel.use(new DriverPlugin(driver));
  // There are no files of metadata beside the result.
  await kernel.use(new MetadataPlugin({ rootDir: path.dirname(resultFile), watch: false }));
  await kernel.use({
    name: 'metadata-in-database',
    version: '1.0.0',
    init: async (context) => context.getService('metadata').setDatabaseDriver(driver),
  });
  await kernel.use(new AppPlugin({
    id: 'bundle', name: 'bundle', version: '1.0.0', type: 'app',
    objects: definitions.object, views: definitions.view, flows: definitions.flow, permissions: definitions.permission,
  }));
  await kernel.use(new ObjectQLPlugin());
  await kernel.bootstrap();
  return kernel;
}

// exercise inserts, reads, compares and deletes one record of an object.
async function exercise(engine, object) {
  const written = {};
  for (const [name, field] of Object.entries(object.fields)) {
    const value = valueOf(name, field);
    if (value !== undefined && !systemColumns.includes(name)) written[name] = value;
  }
  const inserted = await engine.insert(object.name, written);
  const where = { id: inserted.id };
  const read = await engine.findOne(object.name, { where });
  if (!read) throw new Error('the record is not there after its insert');
  for (const [name, value] of Object.entries(written)) {
    if (!isDeepStrictEqual(read[name], value)) {
      throw new Error(`${name} (${object.fields[name].type}): got ${inspect(read[name])}, want ${inspect(value)}`);
    }
  }
  for (const name of systemColumns) {
    if (typeof read[name] !== 'string' || read[name] === '') throw new Error(`${name} is ${inspect(read[name])}`);
  }
  await engine.delete(object.name, { where });
  if (await engine.findOne(object.name, { where })) throw new Error('the record is still there after its delete');
  result.values += Object.keys(written).length;
}

async function main() {
  const driver = new WatchedDriver({
    client: 'better-sqlite3', connection: { filename: database }, useNullAsDefault: true,
  });
  const loader = new DatabaseLoader({ driver });
  const definitions = {};
  for (const type of ['object', 'view', 'flow', 'permission']) {
    definitions[type] = await loader.loadMany(type);
    result.definitions[type] = (await loader.list(type)).sort();
  }
  const kernel = await start(driver, definitions);
  const engine = kernel.getService('objectql');
  for (const object of SchemaRegistry.getAllObjects()) {
    try {
      await exercise(engine, object);
      result.objects.push(object.name);
    } catch (error) {
      fail(object.name, error);
    }
  }
  // The engine can fill an empty registry from the database as well.
  SchemaRegistry.reset();
  const { loaded, errors } = await kernel.getService('protocol').loadMetaFromDb();
  result.hydrated = { loaded, errors, objects: SchemaRegistry.getAllObjects().map((object) => object.name).sort() };
  await kernel.shutdown();
  await driver.disconnect();
}

main()
  .catch((error) => fail('run', error.stack))
  .finally(() => {
    fs.writeFileSync(resultFile, JSON.stringify(result, null, 2));
    process.exit(0);
  });
