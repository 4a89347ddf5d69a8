// Refuses malformed mapping and message documents as they are written, so that whoever writes one sees the mistake at
// once, and keeps everybody but the router away from its own documents, so that nobody forges a delivery.
//
// `this` is the design document; `this.settings` holds the mapping document's _id and the names of the roles.
// The rules are those of router/documents/mapping.py and message.py, which the router goes by; never stricter.
// ES5, for SpiderMonkey 1.8.5 to QuickJS and PouchDB. CouchDB wants one anonymous function; these comments are cut off.
function (newDoc, oldDoc, userCtx, secObj) {
  var settings = this.settings;
  var problems = [];

  // Who may

  function isOneOf(text, list) {
    return Object.prototype.toString.call(list) === '[object Array]' && list.indexOf(text) !== -1;
  }

  function hasRole(role) {
    return isOneOf(role, userCtx.roles);
  }

  function isEmpty(section) {
    return !section || (!(section.names && section.names.length) && !(section.roles && section.roles.length));
  }

  function isDatabaseAdmin() {
    var admins = (secObj && secObj.admins) || {};
    var i;
    if (isOneOf(userCtx.name, admins.names)) { return true; }
    for (i = 0; i < userCtx.roles.length; i += 1) {
      if (isOneOf(userCtx.roles[i], admins.roles)) { return true; }
    }
    return false;
  }

  // Nobody has set up who may do what: then everybody may.
  var isOpen = !secObj || (isEmpty(secObj.admins) && isEmpty(secObj.members));
  var isRouter = isOpen || hasRole('_admin') || hasRole(settings.router_role);
  var isOwn = newDoc._id.indexOf('delivery:') === 0 || newDoc._id.indexOf('router:') === 0;

  if (isOwn && !isRouter) {
    throw({forbidden: 'You are not allowed to write ' + newDoc._id + ': that is for the role ' + settings.router_role +
      ' and server admins'});
  }
  if (newDoc._id === settings.mapping_id && !isRouter && !hasRole(settings.admin_role) && !isDatabaseAdmin()) {
    throw({forbidden: 'You are not allowed to change the mapping document: that is for the role ' +
      settings.admin_role + ' and admins'});
  }
  if (isOwn || newDoc._deleted) { return; }

  // What is well-formed

  function kindOf(value) {
    if (value === null) { return 'null'; }
    if (Object.prototype.toString.call(value) === '[object Array]') { return 'a list'; }
    return {string: 'a text', number: 'a number', 'boolean': 'true or false', object: 'an object'}[typeof value];
  }

  function has(object, key) {
    return Object.prototype.hasOwnProperty.call(object, key);
  }

  function problem(path, reason) {
    problems.push(path + ': ' + reason);
  }

  function quoted(text) {
    return JSON.stringify(text.length > 60 ? text.slice(0, 60) + '\u2026' : text);
  }

  // Space, controls, and what else shows nothing.
  var INVISIBLE = new RegExp('[\\s\\u0000-\\u0020\\u007f-\\u00a0\\u00ad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u180e' +
    '\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ue000-\\uf8ff\\ufeff\\ufff9-\\ufffb\\uffff]');

  function checkGroupName(path, value) {
    if (kindOf(value) !== 'a text') {
      problem(path, 'must be the name of a group, which starts with #, not ' + kindOf(value));
    } else if (value.charAt(0) !== '#' || value.length < 2) {
      problem(path, 'must be the name of a group, which starts with #, not ' + quoted(value));
    } else if (INVISIBLE.test(value)) {
      problem(path, 'must be the name of a group without spaces, not ' + quoted(value));
    } else if (value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length > 200) {
      problem(path, 'must be the name of a group of at most 200 characters');
    }
  }

  function checkGroups(path, value) {
    var i;
    if (kindOf(value) === 'a list') {
      for (i = 0; i < value.length; i += 1) { checkGroupName(path + '[' + i + ']', value[i]); }
    } else if (kindOf(value) === 'a text') {
      checkGroupName(path, value);
    } else {
      problem(path, 'must be the name of a group, which starts with #, or a list of them, not ' + kindOf(value));
    }
  }

  function isTarget(value) {
    return kindOf(value) === 'a text' || kindOf(value) === 'an object';
  }

  function checkTargets(path, value) {
    var i;
    if (kindOf(value) !== 'a list') {
      if (!isTarget(value)) { problem(path, 'must be a target or a list of targets, not ' + kindOf(value)); }
      return;
    }
    for (i = 0; i < value.length; i += 1) {
      if (!isTarget(value[i])) {
        problem(path + '[' + i + ']', 'must be a target, which is a text or an object, not ' + kindOf(value[i]));
      }
    }
  }

  function checkMapping(mapping) {
    var group, key, path;
    if (kindOf(mapping) !== 'an object') {
      problem('mapping', mapping === undefined ? 'is missing' : 'must be an object, not ' + kindOf(mapping));
      return;
    }
    for (group in mapping) {
      if (has(mapping, group)) {
        path = 'mapping.' + group;
        checkGroupName(path, group);
        if (kindOf(mapping[group]) !== 'an object') {
          problem(path, 'must be an object of channels and their targets, not ' + kindOf(mapping[group]));
        } else {
          for (key in mapping[group]) {
            if (has(mapping[group], key)) {
              (key === 'groups' ? checkGroups : checkTargets)(path + '.' + key, mapping[group][key]);
            }
          }
        }
      }
    }
  }

  function isGiven(object, key) {
    return has(object, key) && object[key] !== null;
  }

  function checkText(path, object, key) {
    if (isGiven(object, key) && kindOf(object[key]) !== 'a text') {
      problem(path + '.' + key, 'must be a text, not ' + kindOf(object[key]));
    }
  }

  function checkChoice(path, object, key, choices) {
    if (has(object, key) && !isOneOf(object[key], choices)) {
      problem(path + '.' + key, 'must be "' + choices.join('", "') + '", not ' +
        (kindOf(object[key]) === 'a text' ? quoted(object[key]) : kindOf(object[key])));
    }
  }

  var TIME = new RegExp('^(\\d{4})-(\\d\\d)-(\\d\\d)[Tt _](\\d\\d):?(\\d\\d)(?::?(\\d\\d)(?:[.,]\\d+)?)?\\s*' +
    '(?:[Zz]|[+\\-\\u2212]\\d\\d:?(?:\\d\\d)?)$');

  function isTime(text) {
    var parts = TIME.exec(text);
    if (!parts) { return false; }
    var month = Number(parts[2]), day = Number(parts[3]);
    var lastDay = new Date(Date.UTC(Number(parts[1]), month, 0)).getUTCDate();
    return month >= 1 && month <= 12 && day >= 1 && (day <= lastDay || Number(parts[1]) < 100) &&
      Number(parts[4]) < 24 && Number(parts[5]) < 60 && Number(parts[6] || 0) < 61;
  }

  function checkTime(path, object, key) {
    if (!isGiven(object, key)) { return; }
    if (kindOf(object[key]) !== 'a text' || !isTime(object[key])) {
      problem(path + '.' + key, 'must be a time with its time zone, as in 2026-11-21T08:27:00Z, not ' +
        (kindOf(object[key]) === 'a text' ? quoted(object[key]) : kindOf(object[key])));
    }
  }

  function isAbsolute(url) {
    var parts = /^https?:\/\/([^\/?#]*)/i.exec(url);
    if (!parts) { return false; }
    var host = parts[1].slice(parts[1].lastIndexOf('@') + 1);
    if ((host.indexOf('[') === -1) !== (host.indexOf(']') === -1)) { return false; }
    host = host.indexOf('[') === -1 ? host.split(':')[0] : host.slice(host.indexOf('[') + 1).split(']')[0];
    return host !== '';
  }

  function checkLink(link) {
    if (kindOf(link) !== 'an object') {
      problem('content.link', 'must be an object with url and text, not ' + kindOf(link));
      return;
    }
    if (!has(link, 'url')) {
      problem('content.link.url', 'is missing');
    } else if (kindOf(link.url) !== 'a text') {
      problem('content.link.url', 'must be a text, not ' + kindOf(link.url));
    } else if (INVISIBLE.test(link.url)) {
      problem('content.link.url', 'must be an address without spaces');
    } else if (!isAbsolute(link.url)) {
      problem('content.link.url', 'must be an absolute http or https address');
    }
    checkText('content.link', link, 'text');
  }

  function says(text) {
    return kindOf(text) === 'a text' && /[^\s\u001c-\u001f\u0085]|[\u180e\ufeff]/.test(text);
  }

  function checkContent(content) {
    var wasFine = problems.length;
    checkGroups('content.to', content.to);
    if (kindOf(content.to) === 'a list' && content.to.length === 0) {
      problem('content.to', 'must name at least one group');
    } else if (kindOf(content.to) === 'a list' && content.to.length > 1000) {
      problem('content.to', 'must name at most 1000 groups');
    }
    checkText('content', content, 'subject');
    checkText('content', content, 'body');
    checkChoice('content', content, 'format', ['html', 'text']);
    checkText('content', content, 'event');
    if (kindOf(content.event) === 'a text' && content.event.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length > 200) {
      problem('content.event', 'must be a text of at most 200 characters');
    }
    if (isGiven(content, 'link')) { checkLink(content.link); }
    if (isGiven(content, 'data') && kindOf(content.data) !== 'an object') {
      problem('content.data', 'must be an object, not ' + kindOf(content.data));
    }
    checkChoice('content', content, 'priority', ['low', 'normal', 'critical']);
    checkTime('content', content, 'created_at');
    checkTime('content', content, 'expires_at');
    if (problems.length === wasFine && !says(content.body) && !says(content.subject)) {
      problem('content', 'needs a body or a subject');
    }
  }

  // Level by level: a call for each level would need a deep stack.
  function isNestedDeeper(value, levels) {
    var level = [value], deeper, i, key;
    for (; levels > 0 && level.length; levels -= 1) {
      deeper = [];
      for (i = 0; i < level.length; i += 1) {
        for (key in level[i]) {
          if (has(level[i], key) && level[i][key] !== null && typeof level[i][key] === 'object') {
            deeper.push(level[i][key]);
          }
        }
      }
      level = deeper;
    }
    return level.length > 0;
  }

  if (newDoc._id === settings.mapping_id) {
    checkMapping(newDoc.mapping);
  } else if (kindOf(newDoc.content) === 'an object' && has(newDoc.content, 'to')) {
    if (isNestedDeeper(newDoc, 100)) {
      problem('the document', 'is nested more than 100 levels deep');
    } else {
      checkContent(newDoc.content);
    }
  }
  if (problems.length) {
    throw({forbidden: problems.slice(0, 5).join('; ') +
      (problems.length > 5 ? '; and ' + (problems.length - 5) + ' more' : '')});
  }
}
