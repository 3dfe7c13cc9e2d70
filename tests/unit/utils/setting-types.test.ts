import { expect, test } from 'bun:test';
import { addressRanges } from '../../../src/utils/setting-types.ts';

test('a list of proxies has addresses and ranges, and none that trusts every address', () => {
  const { success, data } = addressRanges().safeParse('10.0.0.0/8, 192.168.1.1,fd00::/8 , 2001:DB8::1');
  expect({ success, data }).toEqual({
    success: true,
    data: ['10.0.0.0/8', '192.168.1.1', 'fd00::/8', '2001:DB8::1'],
  });
  const wrong = ['10.0.0.0/33', 'localhost', '10.0.0.1:80', '10.0.0.1, [::1]', '10.*', '::ffff:10.0.0.1'];
  for (const value of [...wrong, '0.0.0.0/0', '10.0.0.1, ::/0', '::ffff:0:0/96'])
    expect({ value, message: addressRanges().safeParse(value).error?.issues[0]?.message }).toEqual({
      value,
      message: 'contains an item that is not an address or a range, or a range of all addresses',
    });
});
