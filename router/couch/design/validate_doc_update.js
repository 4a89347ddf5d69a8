// Refuses malformed documents of ours as they are written, so that whoever writes one sees the mistake at
// once, and keeps everybody but the router away from its own documents, so that nobody forges a delivery.
//
// `this` is the design document; `this.settings` holds the ids of the documents that admins edit and the names of the roles.
// The rules are those of the models in router/documents, which the router goes by; never stricter.
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
  var isOwn = /^(delivery|notification|audit|router):/.test(newDoc._id);

  if (isOwn && !isRouter) {
    throw({forbidden: 'You are not allowed to write ' + newDoc._id + ': that is for the role ' + settings.router_role +
      ' and server admins'});
  }
  if (newDoc._id === settings.mapping_id && !isRouter && !hasRole(settings.admin_role) && !isDatabaseAdmin()) {
    throw({forbidden: 'You are not allowed to change the mapping document: that is for the role ' +
      settings.admin_role + ' and admins'});
  }
  var isAboutUser = newDoc._id.indexOf('recipient:') === 0 || newDoc._id.indexOf('preferences:') === 0;
  if ((isAboutUser || newDoc._id === settings.catalogue_id) && !isRouter && !hasRole(settings.admin_role) &&
      !isDatabaseAdmin()) {
    throw({forbidden: 'You are not allowed to change ' + newDoc._id + ': documents about users and what they may choose ' +
      'are for the role ' + settings.admin_role + ' and admins'});
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

  var NO_USER = new RegExp('[ /:#]');

  function isUserId(value) {
    return value.length > 0 && value.charAt(0) !== '@' && value.charAt(0) !== '_' && !INVISIBLE.test(value) &&
      !NO_USER.test(value) && value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length <= 200;
  }

  function checkAddressee(path, value) {
    if (kindOf(value) === 'a text' && value.charAt(0) === '@') {
      if (!isUserId(value.slice(1))) {
        problem(path, 'must be the name of a user, @ and an id without spaces, /, : and #, not ' + quoted(value));
      }
    } else if (kindOf(value) !== 'a text' || value.charAt(0) !== '#') {
      problem(path, 'must be the name of a group, which starts with #, or of a user, which starts with @, not ' +
        (kindOf(value) === 'a text' ? quoted(value) : kindOf(value)));
    } else {
      checkGroupName(path, value);
    }
  }

  function checkEach(path, value, check) {
    var i;
    if (kindOf(value) !== 'a list') { check(path, value); return; }
    for (i = 0; i < value.length; i += 1) { check(path + '[' + i + ']', value[i]); }
  }

  function checkUser(path, value) {
    if (kindOf(value) !== 'a text') {
      problem(path, 'must be the id of a user, or a list of them, not ' + kindOf(value));
    } else if (!isUserId(value.charAt(0) === '@' ? value.slice(1) : value)) {
      problem(path, 'must be the id of a user without spaces, /, : and #, not ' + quoted(value));
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
              if (key === 'users') {
                checkEach(path + '.users', mapping[group][key], checkUser);
              } else {
                (key === 'groups' ? checkGroups : checkTargets)(path + '.' + key, mapping[group][key]);
              }
            }
          }
        }
      }
    }
  }

  function isGiven(object, key) {
    return has(object, key) && object[key] !== null;
  }

  function at(path, key) {
    return path ? path + '.' + key : key;
  }

  function checkText(path, object, key) {
    if (isGiven(object, key) && kindOf(object[key]) !== 'a text') {
      problem(at(path, key), 'must be a text, not ' + kindOf(object[key]));
    }
  }

  function checkShortText(path, object, key) {
    checkText(path, object, key);
    if (kindOf(object[key]) === 'a text' && object[key].replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_').length > 200) {
      problem(at(path, key), 'must be a text of at most 200 characters');
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
    if (kindOf(content.to) === 'a list' && content.to.length === 0) {
      problem('content.to', 'must name at least one group or user');
    } else if (kindOf(content.to) === 'a list' && content.to.length > 1000) {
      problem('content.to', 'must name at most 1000 groups and users');
    } else {
      checkEach('content.to', content.to, checkAddressee);
    }
    checkText('content', content, 'subject');
    checkText('content', content, 'body');
    checkChoice('content', content, 'format', ['html', 'text']);
    checkShortText('content', content, 'type');
    checkShortText('content', content, 'event');
    checkShortText('content', content, 'customer_id');
    checkShortText('content', content, 'rec_type');
    checkShortText('content', content, 'rec_id');
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

  // Documents about users, and what they may choose

  function checkObject(path, object, key, check) {
    var name;
    if (!has(object, key)) { return; }
    path = at(path, key);
    if (kindOf(object[key]) !== 'an object') {
      problem(path, 'must be an object, not ' + kindOf(object[key]));
      return;
    }
    for (name in object[key]) {
      if (has(object[key], name)) { check(path + '.' + name, object[key][name]); }
    }
  }

  function checkSwitch(path, value) {
    if (kindOf(value) !== 'true or false') { problem(path, 'must be true or false, not ' + kindOf(value)); }
  }

  // `isDeclared`: a rule of the catalogue, which says more than one of a user.
  function checkRule(path, rule, isDeclared) {
    if (kindOf(rule) === 'true or false') { return; }
    if (kindOf(rule) !== 'an object') {
      problem(path, 'must be true, false or an object, not ' + kindOf(rule));
      return;
    }
    if (isGiven(rule, 'enabled')) { checkSwitch(path + '.enabled', rule.enabled); }
    if (isDeclared) { checkText(path, rule, 'title'); }
    checkObject(path, rule, 'channels', checkSwitch);
  }

  function checkGroupRule(isDeclared) {
    return function (path, rule) {
      checkRule(path, rule, isDeclared);
      if (kindOf(rule) !== 'an object') { return; }
      checkObject(path, rule, 'events', function (place, event) {
        checkRule(place, event, isDeclared);
        if (isDeclared && kindOf(event) === 'an object' && has(event, 'mandatory')) {
          checkSwitch(place + '.mandatory', event.mandatory);
        }
      });
    };
  }

  function checkRecipient(doc) {
    checkObject('', doc, 'addresses', checkTargets);
    checkShortText('', doc, 'display_name');
    checkShortText('', doc, 'locale');
    checkText('', doc, 'time_zone');
    if (!isGiven(doc, 'customers')) { return; }
    if (kindOf(doc.customers) !== 'a list') {
      problem('customers', 'must be a list, not ' + kindOf(doc.customers));
      return;
    }
    checkEach('customers', doc.customers, function (path, customer) {
      if (kindOf(customer) !== 'a text' || customer === '') {
        problem(path, 'must be the id of a customer, not ' + kindOf(customer));
      }
    });
  }

  function checkClock(path, object, key) {
    if (kindOf(object[key]) !== 'a text' || !/^([01][0-9]|2[0-3]):[0-5][0-9]$/.test(object[key])) {
      problem(path + '.' + key, 'must be a time of day such as 22:30');
    }
  }

  function checkChoices(doc) {
    checkObject('', doc, 'channels', checkSwitch);
    checkObject('', doc, 'groups', checkGroupRule(false));
    if (!isGiven(doc, 'quiet_hours')) { return; }
    if (kindOf(doc.quiet_hours) !== 'an object') {
      problem('quiet_hours', 'must be an object with start and end, not ' + kindOf(doc.quiet_hours));
      return;
    }
    checkClock('quiet_hours', doc.quiet_hours, 'start');
    checkClock('quiet_hours', doc.quiet_hours, 'end');
    if (doc.quiet_hours.start === doc.quiet_hours.end) {
      problem('quiet_hours', 'must end at another time than they begin');
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
  } else if (newDoc._id === settings.catalogue_id) {
    checkObject('', newDoc, 'channels', checkSwitch);
    checkObject('', newDoc, 'groups', checkGroupRule(true));
  } else if (newDoc._id.indexOf('recipient:') === 0) {
    if (!isUserId(newDoc._id.slice(10))) {
      problem('_id', 'must be recipient: and the id of a user without spaces, /, : and #');
    }
    checkRecipient(newDoc);
  } else if (newDoc._id.indexOf('preferences:') === 0) {
    if (!isUserId(newDoc._id.slice(12).split(':')[0])) {
      problem('_id', 'must be preferences: and the id of a user without spaces, /, : and #');
    }
    checkChoices(newDoc);
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
